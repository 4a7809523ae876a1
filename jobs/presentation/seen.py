"""How fresh what we know of a job is, and who brought the last news of it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from jobs.lifecycle import ACTIVE, Source
from jobs.models import StatusChange

# A job that goes on is looked at every half minute, unless its provider is slow or tells by itself.
FRESH_FOR = timedelta(minutes=2)
STALE_AFTER = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Seen:
    """``freshness``: fresh, ageing, stale or, for what will not change any more, settled; ``words`` say it.

    ``by``: who noticed the job's last change; empty if that was not kept.
    """

    freshness: str
    words: str
    by: str


def last_sources(jobs: Collection[int]) -> dict[int, str]:
    """Who noticed the last change of each of some jobs, by their keys: in one query."""
    if not jobs:
        return {}
    # A status only moves forward, so that a job has few changes; the last one is read last.
    changes = StatusChange.objects.filter(job__in=jobs).order_by("pk")
    return dict(changes.values_list("job_id", "source"))


def seen(values: Mapping[str, Any], source: str, now: datetime) -> Seen:
    """What to say of a row."""
    freshness = _freshness(values, now)
    words = {
        "fresh": _("Up to date"),
        "ageing": _("Checked a while ago"),
        "stale": _("Out of date"),
        "settled": _("Ended: it is not checked any more"),
    }[freshness]
    return Seen(freshness=freshness, words=words, by=str(Source(source).label) if source else "")


def _freshness(values: Mapping[str, Any], now: datetime) -> str:
    if values["status"] not in ACTIVE:
        return "settled"
    # What no provider knows yet is known here first hand.
    if not values["external_id"]:
        return "fresh"
    at = values["last_synced_at"]
    if at is None or now - at > STALE_AFTER:
        return "stale"
    return "fresh" if now - at <= FRESH_FOR else "ageing"
