"""The control API, below `/_sandbox`: how a test arranges jobs, faults and time. For callers on this machine only."""

from __future__ import annotations

from dataclasses import replace
from random import SystemRandom
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from . import payloads, population
from .account import Account
from .answers import Problem, answer, json_object, not_found, require_this_machine
from .catalogue import model_for
from .faults import FaultBook, FaultRule
from .plan import JobPlan, Kind, Outcome, Style
from .traffic import Traffic
from .webhooks import Disorder, Webhooks

PLAN_KEYS = (
    "source", "input", "destination", "deployment", "seed", "speed", "stop_fraction", "error", "total_steps",
    "validate_every", "checkpoint_every", "deadline_seconds", "ignores_cancel", "webhook",
    "overrides",
)  # fmt: skip

USUAL_MODELS = {
    Kind.TRAINING: "ostris/flux-dev-lora-trainer",
    Kind.PREDICTION: "simpletuner/advanced-trainer-h100",
}


class Control:
    def __init__(self, account: Account, faults: FaultBook, traffic: Traffic, webhooks: Webhooks) -> None:
        self._account = account
        self._faults = faults
        self._traffic = traffic
        self._webhooks = webhooks

    def routes(self) -> list[Route]:
        return [
            Route("/_sandbox/faults", self.faults, methods=["GET", "POST", "DELETE"]),
            Route("/_sandbox/requests", self.requests, methods=["GET", "DELETE"]),
            Route("/_sandbox/webhooks", self.webhooks, methods=["GET", "PUT", "DELETE"]),
            Route("/_sandbox/jobs", self.add_job, methods=["POST"]),
            Route("/_sandbox/jobs/{id}", self.change_job, methods=["PATCH"]),
            Route("/_sandbox/clock", self.clock, methods=["GET", "POST"]),
        ]

    async def faults(self, request: Request) -> Response:
        require_this_machine(request)
        if request.method == "POST":
            try:
                rule = FaultRule.from_json(await json_object(request))
            except ValueError as error:
                raise Problem(422, str(error)) from error
            self._faults.add(rule)
            return answer(rule.to_json(), status=201)
        if request.method == "DELETE":
            self._faults.clear()
        return answer([rule.to_json() for rule in self._faults.rules])

    async def requests(self, request: Request) -> Response:
        require_this_machine(request)
        if request.method == "DELETE":
            self._traffic.reset()
        return answer(self._traffic.to_json())

    async def webhooks(self, request: Request) -> Response:
        """PUT says how deliveries are to go wrong; DELETE forgets the deliveries so far and ends all disorder."""
        require_this_machine(request)
        if request.method == "PUT":
            try:
                self._webhooks.set_disorder(Disorder.from_json(await json_object(request)))
            except ValueError as error:
                raise Problem(422, str(error)) from error
        elif request.method == "DELETE":
            self._webhooks.set_disorder(Disorder())
            self._webhooks.forget()
        return answer(self._webhooks.to_json())

    async def add_job(self, request: Request) -> Response:
        """Create a job by its plan. Everything may be left out; `created_offset` is in real seconds from now."""
        require_this_machine(request)
        try:
            job = self._account.add(self._plan(await json_object(request)))
        except (ValueError, TypeError) as error:
            raise Problem(422, str(error)) from error
        return self._answer(request, job, status=201)

    async def change_job(self, request: Request) -> Response:
        """Force keys of the job's answer to values (`null` counts as a value), or lose the job: `{"removed": true}`."""
        require_this_machine(request)
        job = self._account.get(request.path_params["id"])
        if job is None:
            raise not_found()
        changes = await json_object(request)
        removed = bool(changes.pop("removed", False))
        job = self._account.change(job, overrides={**job.overrides, **changes}, removed=removed)
        return self._answer(request, job)

    async def clock(self, request: Request) -> Response:
        require_this_machine(request)
        if request.method == "POST":
            seconds = (await json_object(request)).get("advance")
            if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
                raise Problem(422, "advance: a number of seconds")
            self._account.advance(seconds)
        return answer({"now": self._account.clock.now(), "offset": self._account.clock.offset})

    def _plan(self, content: dict[str, Any]) -> JobPlan:
        """A plan from what a test cares about; the rest is as for any job of that model."""
        wanted = dict(content)
        kind = Kind(wanted.pop("kind", Kind.TRAINING))
        model_name = wanted.pop("model", USUAL_MODELS[kind])
        created_at = self._account.clock.now() + wanted.pop("created_offset", 0.0)
        model = replace(model_for(model_name, kind), kind=kind)
        job = population.plan_for(
            model,
            SystemRandom(),
            dict(wanted.get("input") or {}),
            created_at=created_at,
            speed=self._account.options.speed,
        )
        job = replace(job, **{key: wanted.pop(key) for key in PLAN_KEYS if key in wanted})
        if "total_steps" in content and "train" not in content.get("durations", {}):
            job = replace(job, durations=replace(job.durations, train=job.total_steps * model.seconds_per_step))
        durations: dict[str, float] = wanted.pop("durations", {})
        job = replace(
            job,
            id=wanted.pop("id", job.id),
            version=wanted.pop("version", job.version),
            style=Style(wanted.pop("style", job.style)),
            outcome=Outcome(wanted.pop("outcome", job.outcome)),
            durations=replace(job.durations, **durations) if durations else job.durations,
            logs_override=wanted.pop("logs", None),
            webhook_events_filter=_events(wanted.pop("webhook_events_filter", None)),
        )
        if "status" in wanted:
            job = replace(job, overrides={**job.overrides, "status": wanted.pop("status")})
        if job.outcome is Outcome.FAILED and job.error is None:
            job = replace(job, error=population.OUT_OF_MEMORY)
        if wanted:
            raise ValueError(f"unknown keys of a job: {', '.join(sorted(wanted))}")
        return job

    def _answer(self, request: Request, job: JobPlan, *, status: int = 200) -> Response:
        payload = payloads.full(
            job,
            now=self._account.clock.now(),
            origin=f"{request.url.scheme}://{request.url.netloc}",
            retention_seconds=self._account.options.retention_seconds,
        )
        return answer(payload, status=status)


def _events(names: list[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(names)
