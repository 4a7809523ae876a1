"""What really happens to a job at Replicate, and what Replicate says of it, truthfully or not, at any moment."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

Json = dict[str, Any]

# Replicate's documentation, "data retention".
KEPT = timedelta(hours=1)
LINE_SECONDS = 20
TRAINERS = ("simpletuner/advanced-trainer-h100", "simpletuner/advanced-trainer-l40s-x2", "somebody/else")
COLLECTIONS = {"training": "/v1/trainings", "prediction": "/v1/predictions"}

# Values of the wrong kind, of which each must count as "not said"; ``None`` stands for JSON's null.
GARBAGE: Mapping[str, tuple[object, ...]] = {
    "status": ("hibernating", None, 17, ["succeeded"], {"status": "failed"}),
    "created_at": (None, "soon", 17, "0001-01-01T00:00:00Z", ["2026-11-20T12:00:00Z"]),
    "started_at": (None, "", "2026-13-45T99:00:00Z", 1e300),
    "completed_at": (None, "later", {"at": 3}, "0001-01-01T00:00:00Z"),
    "metrics": (None, [], {"predict_time": "12"}, {"predict_time": -5}, {"predict_time": 1e308}, "fast"),
    "output": (None, 17, "javascript:alert(1)", {"weights": "file:///etc/passwd"}, []),
    "error": (None, "", [], False),
    "logs": (None, "", 17, {"0": "line"}),
    "model": (None, 17, {}),
    "input": (None, [], "x", 0),
    "urls": (None, "x", []),
}


@dataclass(frozen=True, kw_only=True)
class Life:
    """The truth about one job; spans are in seconds. Without ``waits`` it never starts, without ``runs`` never ends."""

    external_id: str
    kind: str
    model: str
    created_at: datetime
    waits: float | None
    runs: float | None
    end: str

    @property
    def started_at(self) -> datetime | None:
        return None if self.waits is None else self.created_at + timedelta(seconds=self.waits)

    @property
    def completed_at(self) -> datetime | None:
        if self.runs is None:
            return None
        return (self.started_at or self.created_at) + timedelta(seconds=self.runs)

    def word(self, at: datetime) -> str:
        """Replicate's word for the state at a moment."""
        if self.completed_at and at >= self.completed_at:
            return self.end
        return "processing" if self.started_at and at >= self.started_at else "starting"

    def is_over(self, at: datetime) -> bool:
        return self.completed_at is not None and at >= self.completed_at

    def is_removed(self, at: datetime) -> bool:
        return self.completed_at is not None and at >= self.completed_at + KEPT

    def log(self, at: datetime) -> str:
        """The whole log at a moment: it only grows, until Replicate deletes it."""
        if self.started_at is None or at < self.started_at or self.is_removed(at):
            return ""
        until = min(at, self.completed_at) if self.completed_at else at
        done = int((until - self.started_at).total_seconds()) // LINE_SECONDS
        lines = [f"step {step}/1000 - loss: 0.{1000 - step}" for step in range(1, min(done, 900) + 1)]
        return "\n".join(["loading weights", *lines, *(["the end"] if self.is_over(at) else [])])


@dataclass(frozen=True, kw_only=True)
class Blemish:
    """How an answer differs from the truth: its times move by fractions of a second, and fields miss or are garbage."""

    created_shift: float = 0.0
    started_shift: float = 0.0
    completed_shift: float = 0.0
    missing: frozenset[str] = frozenset()
    garbage: tuple[tuple[str, object], ...] = ()
    ends_early: bool = False


TRUTHFUL = Blemish()


def answer(life: Life, at: datetime, *, blemish: Blemish = TRUTHFUL, with_logs: bool = True) -> Json:
    """Replicate's JSON for a job at a moment; list rows are without logs."""
    over, removed = life.is_over(at), life.is_removed(at)
    body: Json = {
        "id": life.external_id,
        "model": life.model,
        "source": "api",
        "status": life.word(at),
        "created_at": _stamp(life.created_at, blemish.created_shift),
        "input": {} if removed else {"config_name": f"run of {life.external_id}", "steps": 1000},
        "data_removed": removed,
        "metrics": {},
        "urls": {"web": f"https://replicate.com/p/{life.external_id}"},
        "error": "CUDA out of memory" if over and life.end == "failed" else None,
        "output": None,
    }
    if life.started_at and at >= life.started_at:
        body["started_at"] = _stamp(life.started_at, blemish.started_shift)
    if life.completed_at and over:
        body["completed_at"] = _stamp(life.completed_at, blemish.completed_shift)
        if life.started_at:
            body["metrics"] = {"predict_time": life.runs}
        if life.end == "succeeded" and not removed:
            body["output"] = {"weights": f"https://replicate.delivery/{life.external_id}/trained_model.tar"}
    elif blemish.ends_early:
        body["completed_at"] = _stamp(life.created_at, 0.0)
    if with_logs:
        body["logs"] = life.log(at)
    body.update(value for value in blemish.garbage if value[0] in body)
    return {key: value for key, value in body.items() if key not in blemish.missing}


def _stamp(time: datetime, shift: float) -> str:
    return (time + timedelta(seconds=shift)).isoformat().replace("+00:00", "Z")


shifts = st.sampled_from([0.0, -0.25, 0.3])


@st.composite
def blemishes(draw: st.DrawFn) -> Blemish:
    """Mostly the truth; now and then an answer that is hard to read."""
    if draw(st.booleans()):
        return TRUTHFUL
    fields = sorted(draw(st.frozensets(st.sampled_from(sorted(GARBAGE)), max_size=3)))
    return Blemish(
        created_shift=draw(shifts),
        started_shift=draw(shifts),
        completed_shift=draw(shifts),
        missing=draw(st.frozensets(st.sampled_from(sorted(GARBAGE)), max_size=3)),
        garbage=tuple((name, draw(st.sampled_from(GARBAGE[name]))) for name in fields),
        ends_early=draw(st.booleans()),
    )


@st.composite
def lives(draw: st.DrawFn, external_id: str, now: datetime) -> Life:
    """A job that began up to some hours ago, and will end in any of the ways there are."""
    waits = draw(st.sampled_from([0.0, 15.0, 90.0, None]))
    ends = ["succeeded", "failed", "canceled"] if waits is not None else ["canceled", "aborted"]
    return Life(
        external_id=external_id,
        kind=draw(st.sampled_from(sorted(COLLECTIONS))),
        model=draw(st.sampled_from(TRAINERS)),
        created_at=now - timedelta(seconds=draw(st.sampled_from([600, 30, 0, 9000]))),
        waits=waits,
        runs=draw(st.sampled_from([400.0, 0.1, 40.0, 7000.0, None])),
        end=draw(st.sampled_from(ends)),
    )
