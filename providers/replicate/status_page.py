"""Replicate's public status page (https://www.replicatestatus.com) -> what we tell of it. Pure.

The page is run by incident.io, whose summary lists what goes on and what is planned.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from providers.errors import UnexpectedPayload
from providers.replicate import cleaning
from providers.snapshots import StatusPage

LISTS = ("ongoing_incidents", "in_progress_maintenances", "scheduled_maintenances")
NOTE_TEXTS = (
    "id",
    "name",
    "status",
    "current_worst_impact",
    "last_update_at",
    "last_update_message",
    "started_at",
    "scheduled_end_at",
    "starts_at",
    "ends_at",
)
COMPONENT_TEXTS = ("id", "name", "group_name", "current_status")
MAX_NOTES = 50
MAX_COMPONENTS = 100


def status_page(payload: object) -> StatusPage:
    """Read a summary. Raises ``UnexpectedPayload`` if it is none: silence about trouble would be taken for none."""
    if not isinstance(payload, dict) or not any(isinstance(payload.get(name), list) for name in LISTS):
        raise UnexpectedPayload("Replicate's status page answered with something that is no summary.")
    incidents, maintenances, planned = (_notes(payload.get(name)) for name in LISTS)
    return StatusPage(
        page_url=_link(payload.get("page_url")), incidents=incidents, maintenances=maintenances, planned=planned
    )


def _notes(value: object) -> tuple[Mapping[str, Any], ...]:
    rows = value if isinstance(value, list) else []
    return tuple(_note(row) for row in rows[:MAX_NOTES] if isinstance(row, dict))


def _note(row: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {key: text for key in NOTE_TEXTS if (text := cleaning.text(row.get(key)))}
    found.setdefault("name", "unnamed")
    if url := _link(row.get("url")):
        found["url"] = url
    components = row.get("affected_components")
    found["affected_components"] = [
        {key: text for key in COMPONENT_TEXTS if (text := cleaning.text(component.get(key)))}
        for component in (components if isinstance(components, list) else [])[:MAX_COMPONENTS]
        if isinstance(component, dict)
    ]
    return found


def _link(value: object) -> str | None:
    """A URL that a page may show as a link."""
    url = cleaning.text(value)
    if url is None:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in ("http", "https") and parts.hostname else None
