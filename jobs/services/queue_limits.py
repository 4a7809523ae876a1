"""How much may run at once (SPEC B6). The row of the limits is also the lock of whoever hands out places."""

import structlog

from jobs.models import QueueLimits
from jobs.queue_order import Limits

logger = structlog.get_logger(__name__)

NAMES = ("max_concurrent", "user_max_concurrent", "team_max_concurrent", "enable_fair_share", "ageing_minutes")
MOST_AT_ONCE = 1000
LONGEST_AGEING_MINUTES = 7 * 24 * 60


def current() -> Limits:
    """The limits in force; those of a new installation if none were ever set."""
    return _limits(QueueLimits.objects.filter(pk=QueueLimits.KEY).first() or QueueLimits())


def lock() -> Limits:
    """The same, and nobody else hands out places until the transaction ends."""
    row, _ = QueueLimits.objects.select_for_update().get_or_create(pk=QueueLimits.KEY)
    return _limits(row)


def change(**values: int | bool) -> tuple[Limits, dict[str, list[int | bool]]]:
    """Set some of the limits; returns all of them, and what changed with the value before and after.

    Nobody is stopped by a lower limit; nobody new starts until it is kept. Raises ``ValueError`` for a value that is
    none.
    """
    for name, value in values.items():
        _check(name, value)
    row, _ = QueueLimits.objects.get_or_create(pk=QueueLimits.KEY)
    changed = {name: [getattr(row, name), value] for name, value in values.items() if getattr(row, name) != value}
    if changed:
        for name, (_before, after) in changed.items():
            setattr(row, name, after)
        row.save(update_fields=[*changed, "updated_at"])
        logger.info("queue limits changed", **{name: after for name, (_, after) in changed.items()})
    return _limits(row), changed


def _check(name: str, value: int | bool) -> None:
    if name not in NAMES:
        raise ValueError(f"{name} is not a limit of the queue.")
    if name == "enable_fair_share":
        return
    most = LONGEST_AGEING_MINUTES if name == "ageing_minutes" else MOST_AT_ONCE
    if isinstance(value, bool) or not 1 <= value <= most:
        raise ValueError(f"{name} must be a whole number from 1 to {most}.")


def _limits(row: QueueLimits) -> Limits:
    return Limits(
        max_concurrent=row.max_concurrent,
        user_max_concurrent=row.user_max_concurrent,
        team_max_concurrent=row.team_max_concurrent,
        has_teams=row.enable_fair_share,
        ageing_minutes=row.ageing_minutes,
    )
