"""Replicate's payloads -> snapshots. Pure; follows traffic as recorded, not only the published schema.

Unknown fields are ignored and missing ones are ``None``, because recorded bodies leave out what the schema requires.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from providers import names
from providers.errors import UnexpectedPayload
from providers.replicate import cleaning, marks
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

# What a model and a version may be named; they become part of our request paths too.
MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}/[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}\Z")

# SimpleTuner's trainers carry their hardware in their name; of no other model is the hardware known (no API tells it).
TRAINER_PROFILE = re.compile(r"simpletuner/advanced-trainer-(h100|l40s)(?:-x([248]))?\Z")

NAME_KEYS = ("config_name", "tracker_run_name", "model_name")
MAX_RAW_STATUS_CHARACTERS = 64
MAX_ERROR_CHARACTERS = 20_000
# No run lasts a year; a number beyond it is no time, and would be no sum that the cost column can hold.
MAX_RUN_SECONDS = 366 * 86_400.0
# Year 1 is how Go writes "not set"; Replicate began in 2019.
EARLIEST_YEAR = 2000


def snapshot(payload: object, *, as_of: datetime, kind: str | None = None, tells_log: bool = False) -> JobSnapshot:
    """Read one prediction or training. Raises ``UnexpectedPayload`` if it names no job.

    ``tells_log``: it is the answer for this one job, in which a log that is empty or absent is an empty log.
    """
    body = _mapping(payload, "job")
    external_id = body.get("id")
    if not isinstance(external_id, str) or not ID.match(external_id):
        raise UnexpectedPayload("Replicate sent a job without a usable id.")
    raw_status = body.get("status")
    status = STATUS.get(raw_status) if isinstance(raw_status, str) else None
    metrics = body.get("metrics")
    model = cleaning.text(body.get("model"))
    inputs = body.get("input")
    return JobSnapshot(
        provider=PROVIDER,
        external_id=external_id,
        status=status,
        raw_status=cleaning.in_words(raw_status, MAX_RAW_STATUS_CHARACTERS),
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
        logs=_logs(body.get("logs"), tells_log=tells_log),
        mark=marks.read_mark(body),
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
    username = cleaning.text(body.get("username"))
    if username is None:
        raise UnexpectedPayload("Replicate sent an account without a username.")
    return Account(username=username, kind=cleaning.text(body.get("type")), name=cleaning.text(body.get("name")))


def hardware(payload: object) -> list[Hardware]:
    """Read the list of hardware: a bare array, unlike the other lists."""
    if not isinstance(payload, list):
        raise UnexpectedPayload("Replicate sent hardware that is not a list.")
    rows = [(cleaning.text(row.get("sku")), cleaning.text(row.get("name"))) for row in payload if isinstance(row, dict)]
    return [Hardware(sku=sku, name=name or sku) for sku, name in rows if sku]


def _mapping(payload: object, what: str) -> Mapping[str, Any]:
    if not isinstance(payload, dict):
        raise UnexpectedPayload(f"Replicate sent a {what} that is no JSON object.")
    return payload


def _time(value: object) -> datetime | None:
    """ISO 8601 with two to nine fraction digits; Python cuts to microseconds."""
    if not isinstance(value, str):
        return None
    try:
        stamp = datetime.fromisoformat(value)
        stamp = stamp.astimezone(UTC) if stamp.tzinfo else stamp.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return stamp if stamp.year >= EARLIEST_YEAR else None


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    return abs(seconds) if 0 <= seconds <= MAX_RUN_SECONDS else None


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


def _logs(logs: object, *, tells_log: bool) -> str | None:
    """Rows of lists carry no logs, and what an empty one in a webhook means is for the job's own endpoint to say."""
    if isinstance(logs, str) and logs:
        return cleaning.storable(logs)
    return "" if tells_log and logs in (None, "") else None


def _error(error: object, raw_status: object) -> str | None:
    if error:
        return cleaning.in_words(error, MAX_ERROR_CHARACTERS)
    return "Ended by Replicate before it started (aborted)." if raw_status == "aborted" else None


def _output_url(output: object) -> str | None:
    """The weights of a training, or the first file of a prediction's output."""
    candidates: list[object] = [output]
    if isinstance(output, dict):
        candidates = [output.get("weights"), output.get("url"), *output.values()]
    elif isinstance(output, list):
        candidates = list(output[:1])
    for candidate in candidates:
        if isinstance(candidate, str) and len(candidate) <= cleaning.MAX_TEXT_CHARACTERS and _is_web_address(candidate):
            return candidate
    return None


def _is_web_address(text: str) -> bool:
    if not text.isprintable() or " " in text or cleaning.SECRET_VALUE.search(text):
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("https", "http") and bool(parts.hostname)


def _name(inputs: object) -> str | None:
    if not isinstance(inputs, dict):
        return None
    return next((name for key in NAME_KEYS if (name := cleaning.text(inputs.get(key), 255))), None)


def _metadata(body: Mapping[str, Any], model: str | None, inputs: object) -> dict[str, Any]:
    """What is worth keeping beside the row's own columns; nothing empty, so that it can be merged key by key."""
    urls, output = body.get("urls"), body.get("output")
    version = output.get("version") if isinstance(output, dict) else None
    found = {
        "model": model,
        "version": cleaning.text(body.get("version")),
        "source": cleaning.text(body.get("source")),
        "deployment": cleaning.text(body.get("deployment")),
        "deadline": cleaning.text(body.get("deadline")),
        "web_url": _web_url(urls),
        "output_version": cleaning.text(version),
        "data_removed": True if body.get("data_removed") is True else None,
        "input": cleaning.shown_input(_without_mark(inputs)),
    }
    return {key: value for key, value in found.items() if value}


def _without_mark(inputs: object) -> object:
    return {key: value for key, value in inputs.items() if key != marks.INPUT_KEY} if isinstance(inputs, dict) else None


def _web_url(urls: object) -> str | None:
    web = cleaning.text(urls.get("web")) if isinstance(urls, dict) else None
    return web if web and web.startswith("https://replicate.com/") and _is_web_address(web) else None
