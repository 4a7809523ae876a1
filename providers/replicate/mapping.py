"""Replicate's payloads -> snapshots. Pure; follows traffic as recorded, not only the published schema.

Unknown fields are ignored and missing ones are ``None``, because recorded bodies leave out what the schema requires.
"""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from providers import names
from providers.errors import UnexpectedPayload
from providers.snapshots import Account, Hardware, JobSnapshot, RemoteStatus

PROVIDER = names.REPLICATE

STATUS = {
    "starting": RemoteStatus.QUEUED,
    "processing": RemoteStatus.RUNNING,
    "succeeded": RemoteStatus.COMPLETED,
    "failed": RemoteStatus.FAILED,
    "canceled": RemoteStatus.CANCELLED,
    # Ended before it started, for example by a deadline (Replicate changelog 2025-10-16).
    "aborted": RemoteStatus.CANCELLED,
}

# Ids are 26 characters of [0-9a-z] today. They become part of our request paths, so nothing else may pass.
ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")

# SimpleTuner's trainers carry their hardware in their name; of no other model is the hardware known (no API tells it).
TRAINER_PROFILE = re.compile(r"simpletuner/advanced-trainer-(h100|l40s)(?:-x([248]))?\Z")

SECRET_KEY = re.compile(r"token$|secret|passw|api_?key|access_?key|credential|authorization", re.IGNORECASE)
SECRET_VALUE = re.compile(r"\b(?:r8_[A-Za-z0-9]{20,}|hf_[A-Za-z0-9]{24,}|sk-[A-Za-z0-9_-]{20,})")
MASK = "••••"

NAME_KEYS = ("config_name", "tracker_run_name", "model_name")
MAX_TEXT_CHARACTERS = 2000
MAX_ERROR_CHARACTERS = 20_000
MAX_INPUT_CHARACTERS = 16_000


def snapshot(payload: object, *, as_of: datetime, kind: str | None = None) -> JobSnapshot:
    """Read one prediction or training. Raises ``UnexpectedPayload`` if it names no job."""
    body = _mapping(payload, "job")
    external_id = body.get("id")
    if not isinstance(external_id, str) or not ID.match(external_id):
        raise UnexpectedPayload("Replicate sent a job without a usable id.")
    raw_status = body.get("status")
    status = STATUS.get(raw_status) if isinstance(raw_status, str) else None
    metrics = body.get("metrics")
    model = _text(body.get("model"))
    logs = body.get("logs")
    inputs = body.get("input")
    return JobSnapshot(
        provider=PROVIDER,
        external_id=external_id,
        status=status,
        raw_status=_raw_word(raw_status),
        as_of=as_of,
        kind=kind,
        name=_name(inputs),
        created_at=_time(body.get("created_at")),
        started_at=_time(body.get("started_at")),
        completed_at=_time(body.get("completed_at")),
        run_seconds=_run_seconds(raw_status, metrics),
        hardware=_hardware(model),
        error=_error(body.get("error"), raw_status),
        output_url=_output_url(body.get("output")),
        # An empty log says nothing: Replicate empties logs an hour after the end.
        logs=_storable(logs) if isinstance(logs, str) and logs else None,
        metadata=_metadata(body, model, inputs),
    )


def page(payload: object) -> tuple[list[object], str | None]:
    """Return the rows of a list page, unread, and the URL of the next page."""
    body = _mapping(payload, "list")
    results, following = body.get("results"), body.get("next")
    if not isinstance(results, list):
        raise UnexpectedPayload("Replicate sent a list without results.")
    return results, following if isinstance(following, str) and following else None


def account(payload: object) -> Account:
    """Read the account's answer."""
    body = _mapping(payload, "account")
    username = _text(body.get("username"))
    if username is None:
        raise UnexpectedPayload("Replicate sent an account without a username.")
    return Account(username=username, kind=_text(body.get("type")), name=_text(body.get("name")))


def hardware(payload: object) -> list[Hardware]:
    """Read the list of hardware: a bare array, unlike the other lists."""
    if not isinstance(payload, list):
        raise UnexpectedPayload("Replicate sent hardware that is not a list.")
    rows = [(_text(row.get("sku")), _text(row.get("name"))) for row in payload if isinstance(row, dict)]
    return [Hardware(sku=sku, name=name or sku) for sku, name in rows if sku]


def _mapping(payload: object, what: str) -> Mapping[str, Any]:
    if not isinstance(payload, dict):
        raise UnexpectedPayload(f"Replicate sent a {what} that is no JSON object.")
    return payload


def _storable(text: str) -> str:
    """Text that every database takes (no NUL, no lone surrogates) and that shows nobody a secret."""
    whole = text.encode("utf-8", errors="replace").decode("utf-8").replace("\x00", "\ufffd")
    return SECRET_VALUE.sub(MASK, whole)


def _text(value: object, limit: int = MAX_TEXT_CHARACTERS) -> str | None:
    return _storable(value[:limit]) if isinstance(value, str) and value else None


def _raw_word(value: object) -> str:
    return _storable(value if isinstance(value, str) else json.dumps(value))[:64]


def _time(value: object) -> datetime | None:
    """ISO 8601 with two to nine fraction digits; Python cuts to microseconds."""
    if not isinstance(value, str):
        return None
    try:
        stamp = datetime.fromisoformat(value)
        return stamp.astimezone(UTC) if stamp.tzinfo else stamp.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _run_seconds(raw_status: object, metrics: object) -> float | None:
    if raw_status == "aborted":
        return 0.0  # ended before it started: nothing is billed
    return _seconds(metrics.get("predict_time")) if isinstance(metrics, dict) else None


def _hardware(model: str | None) -> str | None:
    match = TRAINER_PROFILE.match(model or "")
    if match is None:
        return None
    gpu, count = match[1], match[2]
    if count is None:
        return f"gpu-{gpu}"
    # The count stands before the name for L40S and after it for H100 (Replicate's price list).
    return f"gpu-{count}x-{gpu}" if gpu == "l40s" else f"gpu-{gpu}-{count}x"


def _error(error: object, raw_status: object) -> str | None:
    if error is not None and error != "":
        text = error if isinstance(error, str) else json.dumps(error)
        return _storable(text)[:MAX_ERROR_CHARACTERS]
    return "Ended by Replicate before it started (aborted)." if raw_status == "aborted" else None


def _output_url(output: object) -> str | None:
    """The weights of a training, or the first file of a prediction's output."""
    candidates: list[object] = [output]
    if isinstance(output, dict):
        candidates = [output.get("weights"), output.get("url"), *output.values()]
    elif isinstance(output, list):
        candidates = list(output[:1])
    for candidate in candidates:
        if isinstance(candidate, str) and len(candidate) <= MAX_TEXT_CHARACTERS and _is_web_address(candidate):
            return candidate
    return None


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("https", "http") and bool(parts.hostname)


def _name(inputs: object) -> str | None:
    if not isinstance(inputs, dict):
        return None
    return next((name for key in NAME_KEYS if (name := _text(inputs.get(key), 255))), None)


def _metadata(body: Mapping[str, Any], model: str | None, inputs: object) -> dict[str, Any]:
    """What is worth keeping beside the row's own columns; nothing empty, so that it can be merged key by key."""
    urls, output = body.get("urls"), body.get("output")
    version = output.get("version") if isinstance(output, dict) else None
    found = {
        "model": model,
        "version": _text(body.get("version")),
        "source": _text(body.get("source")),
        "deployment": _text(body.get("deployment")),
        "deadline": _text(body.get("deadline")),
        "web_url": _web_url(urls),
        "output_version": _text(version),
        "data_removed": True if body.get("data_removed") is True else None,
        "input": _shown_input(inputs),
    }
    return {key: value for key, value in found.items() if value}


def _web_url(urls: object) -> str | None:
    web = _text(urls.get("web")) if isinstance(urls, dict) else None
    return web if web and web.startswith("https://replicate.com/") else None


def _shown_input(inputs: object) -> dict[str, Any] | None:
    """The input with its secrets masked and its bulk left out."""
    if not isinstance(inputs, dict) or not inputs:
        return None
    shown = {_storable(key): _masked(key, value) for key, value in inputs.items()}
    if len(json.dumps(shown)) <= MAX_INPUT_CHARACTERS:
        return shown
    return {key: value for key, value in shown.items() if len(json.dumps(value)) <= 200}


def _masked(key: str, value: object, depth: int = 0) -> object:
    if isinstance(value, str):
        if value and SECRET_KEY.search(key):
            return MASK
        if value.startswith("data:"):
            return _storable(f"{value[:40].split(',')[0]},…")
        return _storable(value[:MAX_TEXT_CHARACTERS])
    if depth >= 6:
        return "…"
    if isinstance(value, dict):
        return {_storable(inner): _masked(inner, item, depth + 1) for inner, item in value.items()}
    if isinstance(value, list):
        return [_masked(key, item, depth + 1) for item in value[:200]]
    return value
