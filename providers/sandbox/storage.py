"""The account's file: small JSON, replaced in one step so that a kill leaves the old or the new, never half of one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import orjson

from .plan import JobPlan

FORMAT = 1


@dataclass(frozen=True)
class Stored:
    jobs: tuple[JobPlan, ...]
    clock_offset: float
    welcomed_until: float
    """Unix time up to which newcomers have been considered."""


def load(path: Path) -> Stored | None:
    """What was saved, or None if there is no file yet. A file of another format is refused, not overwritten."""
    try:
        content = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path} is not a sandbox state of format {FORMAT}")
    jobs = tuple(JobPlan.from_json(job) for job in content["jobs"])
    return Stored(jobs, content["clock_offset"], content["welcomed_until"])


def save(path: Path, jobs: Iterable[JobPlan], *, clock_offset: float, welcomed_until: float) -> None:
    content = orjson.dumps(
        {
            "format": FORMAT,
            "clock_offset": clock_offset,
            "welcomed_until": welcomed_until,
            "jobs": [job.to_json() for job in jobs],
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
