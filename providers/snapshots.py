"""The only currency between providers and the rest: what a provider says of one job at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from providers.errors import ProviderError


class RemoteStatus(StrEnum):
    """The states a provider can report. ``pending`` and ``uploading`` are ours alone."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSnapshot:
    """A provider's report of one job. ``None`` means "not said": it never erases what is known.

    ``status`` is ``None`` when the provider used a word we do not know (SPEC B2.3); ``raw_status`` is its word.
    ``as_of`` is the provider's clock when it answered. ``run_seconds`` is the time that is billed.
    ``logs`` is the whole log so far; empty if the provider says that there is none (or none any more).
    ``mark`` is what we gave the job on its way, so that it can be told to be ours.
    """

    provider: str
    external_id: str
    status: RemoteStatus | None
    raw_status: str
    as_of: datetime
    kind: str | None = None
    name: str | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    run_seconds: float | None = None
    hardware: str | None = None
    cost_usd: Decimal | None = None
    error: str | None = None
    output_url: str | None = None
    logs: str | None = None
    mark: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRef:
    """Enough to find a job again at its provider. ``kind`` and ``created_at`` only make it cheaper."""

    external_id: str
    kind: str | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobHint:
    """Something happened to a job, which is known by one of these ids; what it was, is to be asked."""

    job_ids: tuple[str, ...]
    event: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedDelivery:
    """A webhook with a good signature. ``webhook_id``: the sender's, the same each time that it is sent."""

    webhook_id: str
    sent_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchFailure:
    """One job of a batch that could not be read; the others are not held up by it."""

    external_id: str
    error: ProviderError


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The newest jobs of an account, newest first, and what could not be read of them."""

    snapshots: tuple[JobSnapshot, ...]
    errors: tuple[ProviderError, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of one list, newest first, and what could not be read of it. ``cursor`` leads on; ``None``: the last."""

    snapshots: tuple[JobSnapshot, ...]
    errors: tuple[ProviderError, ...] = ()
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Whose credentials these are."""

    username: str
    kind: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """A machine that a provider rents out, by its own identifier."""

    sku: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusPage:
    """What a provider publishes of its own trouble. Each note is an object of JSON with a ``name``, as published."""

    page_url: str | None
    incidents: tuple[Mapping[str, Any], ...] = ()
    maintenances: tuple[Mapping[str, Any], ...] = ()
    planned: tuple[Mapping[str, Any], ...] = ()
