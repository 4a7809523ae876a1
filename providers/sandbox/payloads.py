"""A job as Replicate's JSON.

Recorded traffic and the vendor's OpenAPI differ about things that are not there yet: some recordings have
`started_at`, `completed_at` and `logs` as null, the specification has them as plain strings, and other recordings
leave them out. Leaving them out satisfies all three, because absent and null mean the same to a client. For the same
reason a training has no `output` until it has succeeded, while a prediction, whose `output` is required and may be
anything, has null.
"""

from __future__ import annotations

import hashlib
from typing import Any

from .catalogue import version_of
from .clock import iso
from .logs import log_text
from .plan import JobPlan, Kind, Style
from .population import ACCOUNT
from .trajectory import Moment, deadline_at, is_forgotten, moment

Json = dict[str, Any]


def row(job: JobPlan, *, now: float, origin: str, retention_seconds: float, urls_of: Kind | None = None) -> Json:
    """A job as in a list: everything but its logs. `urls_of` is the kind that its URLs pretend; default: its own."""
    standing = moment(job, now)
    is_gone = is_forgotten(job, standing, now, retention_seconds)
    collection = f"{origin}/v1/{urls_of or job.kind}s"
    payload: Json = {
        "id": job.id,
        "model": job.model,
        "version": job.version,
        "source": job.source,
        "input": {} if is_gone else dict(job.input),
        "data_removed": is_gone,
        "error": job.error if standing.status == "failed" else None,
        "status": standing.status,
        "created_at": iso(job.created_at),
        "metrics": _metrics(job, standing),
        "urls": {
            "web": f"https://replicate.com/p/{job.id}",
            "get": f"{collection}/{job.id}",
            "cancel": f"{collection}/{job.id}/cancel",
        },
    }
    output = _output(job, standing) if standing.status == "succeeded" and not is_gone else None
    if output is not None or job.kind is Kind.PREDICTION:
        payload["output"] = output
    if standing.started_at is not None:
        payload["started_at"] = iso(standing.started_at)
    if standing.completed_at is not None:
        payload["completed_at"] = iso(standing.completed_at)
    deadline = deadline_at(job)
    if deadline is not None:
        payload["deadline"] = iso(deadline)
    if job.deployment is not None:
        payload["deployment"] = job.deployment
    if job.webhook is not None:
        payload["webhook"] = job.webhook
        if job.webhook_events_filter is not None:
            payload["webhook_events_filter"] = list(job.webhook_events_filter)
    payload.update({key: value for key, value in job.overrides.items() if key != "logs"})
    return payload


def full(job: JobPlan, *, now: float, origin: str, retention_seconds: float, urls_of: Kind | None = None) -> Json:
    """A job as its own address answers with it."""
    payload = row(job, now=now, origin=origin, retention_seconds=retention_seconds, urls_of=urls_of)
    standing = moment(job, now)
    is_gone = is_forgotten(job, standing, now, retention_seconds)
    payload["logs"] = job.overrides.get("logs", "" if is_gone else log_text(job, standing.worked))
    return payload


def problem(status: int, detail: str, title: str | None = None) -> Json:
    """An error as recorded: a subset of problem+json."""
    return {"title": title, "detail": detail, "status": status} if title else {"detail": detail, "status": status}


def _metrics(job: JobPlan, standing: Moment) -> Json:
    """Real seconds, so that a cost computed from them is that of the time that has really passed."""
    if standing.completed_at is None:
        return {}
    metrics = {"total_time": round(standing.completed_at - job.created_at, 6)}
    if standing.started_at is not None:
        metrics["predict_time"] = round(standing.completed_at - standing.started_at, 6)
    return metrics


def _output(job: JobPlan, standing: Moment) -> Any:
    folder = f"https://replicate.delivery/yhqm/{job.id}"
    if job.style is Style.IMAGE:
        return [f"{folder}/out-0.png"]
    if job.kind is Kind.PREDICTION:
        return f"{folder}/output.zip"
    trained = job.destination or f"{ACCOUNT}/{job.id[:8]}"
    digest = hashlib.sha256(f"{job.id}{standing.completed_at}".encode()).hexdigest()
    return {"version": f"{trained}:{digest}", "weights": f"{folder}/trained_model.tar"}


def model(name: str, *, description: str, run_count: int, created_at: float) -> Json:
    owner, _, short_name = name.partition("/")
    return {
        "url": f"https://replicate.com/{name}",
        "owner": owner,
        "name": short_name,
        "description": description,
        "visibility": "public",
        "github_url": None,
        "paper_url": None,
        "license_url": None,
        "run_count": run_count,
        "cover_image_url": None,
        "default_example": None,
        "latest_version": version(name, created_at=created_at),
    }


def version(name: str, *, created_at: float) -> Json:
    return {
        "id": version_of(name),
        "created_at": iso(created_at),
        "cog_version": "0.16.8",
        "openapi_schema": {"openapi": "3.0.2", "info": {"title": "Cog", "version": "0.1.0"}, "paths": {}},
    }
