"""What is decided about a job when it is created; everything else follows from this and the time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    TRAINING = "training"
    PREDICTION = "prediction"


class Outcome(StrEnum):
    """How a job ends if nobody cancels it."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED_BY_DEADLINE = "canceled-by-deadline"
    ABORTED = "aborted"


class Style(StrEnum):
    """Whose way of printing a job's logs follow."""

    SIMPLETUNER = "simpletuner"
    FLUX_TRAINER = "flux-trainer"
    IMAGE = "image"


@dataclass(frozen=True)
class Durations:
    """Lengths of a job's phases in simulated seconds; `validate` and `checkpoint` are for one run of each."""

    queue: float = 20.0
    load: float = 90.0
    preprocess: float = 120.0
    train: float = 1200.0
    validate: float = 40.0
    checkpoint: float = 12.0
    finish: float = 45.0


@dataclass(frozen=True)
class JobPlan:
    """One job. `*_at` are Unix seconds, `durations` simulated seconds of which `speed` pass in a real one.

    The speed belongs to the job and not to the server, so that a restart at another speed rewrites no history.
    """

    id: str
    kind: Kind
    model: str
    version: str
    created_at: float
    style: Style = Style.FLUX_TRAINER
    source: str = "api"
    input: Mapping[str, Any] = field(default_factory=dict)
    destination: str | None = None
    deployment: str | None = None
    seed: int = 0
    speed: float = 1.0
    outcome: Outcome = Outcome.SUCCEEDED
    stop_fraction: float = 0.5
    """How much of the run is done when it fails or hits its deadline."""
    error: str | None = None
    durations: Durations = Durations()
    total_steps: int = 1000
    validate_every: int = 0
    checkpoint_every: int = 0
    deadline_seconds: float | None = None
    """Real seconds after creation at which the job is stopped, as the `Cancel-After` header asks."""
    cancelled_at: float | None = None
    ignores_cancel: bool = False
    """Whether a request to cancel it is taken, and changes nothing."""
    webhook: str | None = None
    webhook_events_filter: tuple[str, ...] | None = None
    logs_override: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Keys of the answer forced to a value whatever the plan says; a test's way to any state, even impossible ones."""
    removed: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> JobPlan:
        """Rebuild a plan from what `to_json` gave. Unknown keys are refused: a typo must not pass as a default."""
        values = dict(stored)
        values["kind"] = Kind(values["kind"])
        if "style" in values:
            values["style"] = Style(values["style"])
        if "outcome" in values:
            values["outcome"] = Outcome(values["outcome"])
        if "durations" in values:
            values["durations"] = Durations(**values["durations"])
        if values.get("webhook_events_filter") is not None:
            values["webhook_events_filter"] = tuple(values["webhook_events_filter"])
        unknown = values.keys() - {known.name for known in fields(cls)}
        if unknown:
            raise ValueError(f"unknown keys of a job: {', '.join(sorted(unknown))}")
        return cls(**values)
