"""What a job was started with, readable, and how it differs from what another one was started with."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from jobs.models import JobQuerySet, JobSubmission, UnifiedJob
from jobs.presentation.job_rows import display_name, short_id
from jobs.presentation.statuses import StatusBadge, badge
from jobs.training_config import DATASETS_KEY
from providers.masking import masked

# What stands for a secret since the job came in (providers.replicate.cleaning).
MASK = "••••"
OFFERED_JOBS = 20
MOST_NESTED = 12


@dataclass(frozen=True, slots=True)
class Setting:
    """One entry of the job's input; ``is_block`` for a value that needs lines of its own."""

    name: str
    value: str
    is_block: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting that two jobs do not share. ``kind``: ``added``, ``removed`` or ``changed``; ``None``: not there."""

    name: str
    kind: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of the other job's settings in this one. ``hidden``: masked in both, so nobody can tell."""

    other_id: str
    other_name: str
    differences: list[Difference]
    same: int
    hidden: int


@dataclass(frozen=True, slots=True)
class OfferedJob:
    """A job to compare with."""

    job_id: str
    short_id: str
    name: str
    status: StatusBadge


def settings_of(job: UnifiedJob) -> list[Setting]:
    """The job's input, as it was masked when it came in; until its provider tells it, what it was submitted with."""
    return [_setting(name, value) for name, value in _inputs(job).items()]


def comparison(job: UnifiedJob, other: UnifiedJob) -> Comparison:
    """The differences between the settings of two jobs, nested ones by their paths."""
    before, after = dict(_flat_settings(other)), dict(_flat_settings(job))
    differences: list[Difference] = []
    same = hidden = 0
    for name in [*after, *(name for name in before if name not in after)]:
        old, new = before.get(name), after.get(name)
        if old == new:
            is_hidden = new is not None and new.startswith(MASK)
            hidden += is_hidden
            same += not is_hidden
        else:
            kind = "added" if old is None else "removed" if new is None else "changed"
            differences.append(Difference(name, kind, old, new))
    return Comparison(other.job_id, name_of(other), differences, same, hidden)


def offered_jobs(job: UnifiedJob, visible: JobQuerySet) -> list[OfferedJob]:
    """The newest other jobs."""
    found = visible.exclude(pk=job.pk).newest_first()[:OFFERED_JOBS]
    return [OfferedJob(one.job_id, short_id(one.job_id), name_of(one), badge(one.status)) for one in found]


def name_of(job: UnifiedJob) -> str:
    """What people call it."""
    model = _mapping(job.metadata).get("model")
    return display_name(job.config_name, model if isinstance(model, str) else "")


def _setting(name: str, value: object) -> Setting:
    value = _decoded(value)
    if isinstance(value, str):
        return Setting(name, value, is_block="\n" in value)
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return Setting(name, text, is_block="\n" in text)


def _flat_settings(job: UnifiedJob) -> Iterator[tuple[str, str]]:
    metadata = _mapping(job.metadata)
    facts = {_("Model"): metadata.get("model"), _("Version"): metadata.get("version"), _("Hardware"): job.hardware_type}
    yield from ((name, value) for name, value in facts.items() if isinstance(value, str) and value)
    for name, value in _inputs(job).items():
        yield from _flat(name, value)


def _inputs(job: UnifiedJob) -> Mapping[str, Any]:
    return _mapping(_mapping(job.metadata).get("input")) or _submitted(job)


def _submitted(job: UnifiedJob) -> Mapping[str, Any]:
    found = JobSubmission.objects.filter(job=job).first()
    if found is None:
        return {}
    datasets = {DATASETS_KEY: masked(found.dataloader_config)} if found.dataloader_config else {}
    return {**_mapping(masked(found.config)), **datasets}


def _flat(path: str, value: object, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Each value by the way that leads to it: ``optimizer.betas[0]``."""
    value = _decoded(value)
    if isinstance(value, dict) and value and depth < MOST_NESTED:
        for name, inner in value.items():
            yield from _flat(f"{path}.{name}", inner, depth + 1)
    elif isinstance(value, list) and value and depth < MOST_NESTED:
        for number, inner in enumerate(value):
            yield from _flat(f"{path}[{number}]", inner, depth + 1)
    else:
        yield path, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _decoded(value: object) -> object:
    """Trainers take whole configurations as JSON in a text; it is read like any other."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
