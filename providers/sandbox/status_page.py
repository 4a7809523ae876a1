"""The public status page of the simulated provider, in the form in which incident.io publishes Replicate's."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .answers import Problem, answer, json_object, require_this_machine
from .clock import Clock, iso

PATH = "/api/v1/summary"
# What a note has where a test does not care.
USUAL: dict[str, dict[str, Any]] = {
    "ongoing_incidents": {
        "name": "Elevated error rates of predictions",
        "status": "investigating",
        "current_worst_impact": "partial_outage",
    },
    "in_progress_maintenances": {"name": "Database maintenance", "status": "maintenance_in_progress"},
    "scheduled_maintenances": {"name": "Network maintenance", "status": "maintenance_scheduled"},
}


class StatusPage:
    """All is well until a test plans something."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._notes: dict[str, list[dict[str, Any]]] = {name: [] for name in USUAL}

    def routes(self) -> list[Route]:
        return [
            Route(PATH, self.summary),
            Route("/_sandbox/status-page", self.plan, methods=["GET", "PUT", "DELETE"]),
        ]

    async def summary(self, request: Request) -> Response:
        """For everybody: a status page asks for no token."""
        return answer(self._to_json(request))

    async def plan(self, request: Request) -> Response:
        """PUT replaces the lists it names, each note being what it shall say beyond the usual; DELETE ends all."""
        require_this_machine(request)
        if request.method == "PUT":
            self._set(await json_object(request))
        elif request.method == "DELETE":
            self._notes = {name: [] for name in USUAL}
        return answer(self._to_json(request))

    def _set(self, content: dict[str, Any]) -> None:
        if unknown := content.keys() - USUAL.keys():
            raise Problem(422, f"unknown lists: {', '.join(sorted(unknown))}")
        for notes in content.values():
            if not isinstance(notes, list) or not all(isinstance(note, dict) for note in notes):
                raise Problem(422, "every list must hold objects")
        self._notes |= {
            name: [self._note(name, number, note) for number, note in enumerate(notes, start=1)]
            for name, notes in content.items()
        }

    def _note(self, name: str, number: int, note: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": f"{name}-{number}",
            "url": f"https://status.example/{name}/{number}",
            "last_update_at": iso(self._clock.now()),
            "last_update_message": "We are looking into it.",
            "affected_components": [{"id": "predictions", "name": "Predictions", "current_status": "partial_outage"}],
            **USUAL[name],
            **note,
        }

    def _to_json(self, request: Request) -> dict[str, Any]:
        page_url = f"{request.url.scheme}://{request.url.netloc}/"
        return {"page_title": "Sandbox status", "page_url": page_url, **self._notes}
