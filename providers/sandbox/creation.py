"""Reading a request to start a job: what Replicate insists on, and what becomes of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from random import SystemRandom
from typing import Any

from . import population
from .answers import Problem
from .catalogue import MODELS, version_of
from .plan import JobPlan, Kind

EVENTS = ("start", "output", "logs", "completed")
MODEL_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._-]*", re.IGNORECASE)
VERSION = re.compile(r"[0-9a-f]{64}")
CANCEL_AFTER = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")
SHORTEST_DEADLINE_SECONDS = 5

Body = Mapping[str, Any]


def training(model: str, version: str, body: Body, *, now: float, speed: float) -> JobPlan:
    _refuse_if([*_faults_of_input(body), *_faults_of_webhook(body), *_missing_destination(body)])
    destination = body["destination"]
    if not MODEL_NAME.fullmatch(destination):
        raise Problem(404, "The specified training destination does not exist")
    job = population.requested(model, Kind.TRAINING, version, dict(body["input"]), SystemRandom(), now=now, speed=speed)
    return replace(_with_webhook(job, body), destination=destination)


def prediction(body: Body, *, now: float, speed: float) -> JobPlan:
    """A prediction by version: `owner/name`, `owner/name:version`, or the version alone if we know it."""
    problems = [*_faults_of_input(body), *_faults_of_webhook(body)]
    if not isinstance(body.get("version"), str):
        problems.insert(0, "version is required")
    _refuse_if(problems)
    model, version = _resolve(body["version"])
    return _prediction(model, version, body, now=now, speed=speed)


def prediction_by_model(model: str, body: Body, *, now: float, speed: float) -> JobPlan:
    _refuse_if([*_faults_of_input(body), *_faults_of_webhook(body)])
    # Calls by model name are answered with a version that is not a hash (recorded).
    version = f"dp-{version_of(model)[:32]}"
    return _prediction(model, version, body, now=now, speed=speed)


def prediction_by_deployment(deployment: str, body: Body, *, now: float, speed: float) -> JobPlan:
    _refuse_if([*_faults_of_input(body), *_faults_of_webhook(body)])
    job = _prediction(deployment, version_of(deployment), body, now=now, speed=speed)
    return replace(job, deployment=deployment)


def deadline_seconds(header: str | None) -> float | None:
    """Seconds of a `Cancel-After` header such as `30s`, `5m` or `1h30m45s`."""
    if header is None:
        return None
    parts = CANCEL_AFTER.fullmatch(header.strip())
    if not parts or not any(parts.groups()):
        raise Problem(422, "The Cancel-After header is not a duration.", "Invalid deadline")
    hours, minutes, seconds = (int(part or 0) for part in parts.groups())
    total = hours * 3600 + minutes * 60 + seconds
    if total < SHORTEST_DEADLINE_SECONDS:
        raise Problem(422, f"The deadline must be at least {SHORTEST_DEADLINE_SECONDS} seconds.", "Invalid deadline")
    return float(total)


def _prediction(model: str, version: str, body: Body, *, now: float, speed: float) -> JobPlan:
    job = population.requested(
        model, Kind.PREDICTION, version, dict(body["input"]), SystemRandom(), now=now, speed=speed
    )
    return _with_webhook(job, body)


def _resolve(reference: str) -> tuple[str, str]:
    model, _, version = reference.rpartition(":") if ":" in reference else (reference, "", "")
    if MODEL_NAME.fullmatch(model) and (not version or VERSION.fullmatch(version)):
        return model, version or version_of(model)
    for known in MODELS.values():
        if known.version == reference:
            return known.name, known.version
    raise Problem(
        422,
        "The specified version does not exist (or perhaps you don't have permission to use it?)",
        "Invalid version or not permitted",
    )


def _with_webhook(job: JobPlan, body: Body) -> JobPlan:
    events = body.get("webhook_events_filter")
    return replace(job, webhook=body.get("webhook"), webhook_events_filter=None if events is None else tuple(events))


def _faults_of_input(body: Body) -> list[str]:
    if "input" not in body:
        return ["input is required"]
    return [] if isinstance(body["input"], dict) else ["input: Invalid type. Expected: object"]


def _missing_destination(body: Body) -> list[str]:
    return [] if isinstance(body.get("destination"), str) else ["destination is required"]


def _faults_of_webhook(body: Body) -> list[str]:
    problems = []
    webhook, events = body.get("webhook"), body.get("webhook_events_filter")
    if webhook is not None and not (isinstance(webhook, str) and webhook.startswith(("http://", "https://"))):
        problems.append("webhook must be a URL")
    if events is not None and not (isinstance(events, list) and all(event in EVENTS for event in events)):
        problems.append(f"webhook_events_filter must be a list of: {', '.join(EVENTS)}")
    return problems


def _refuse_if(problems: list[str]) -> None:
    if problems:
        raise Problem(422, "".join(f"- {problem}\n" for problem in problems), "Input validation failed")
