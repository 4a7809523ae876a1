"""The record of who did what: added to, never changed."""

from collections.abc import Mapping

import structlog

from jobs.access import Actor
from jobs.models import AuditEntry, AuditOutcome

logger = structlog.get_logger(__name__)


def record(
    actor: Actor, action: str, target: str = "", *, outcome: AuditOutcome = AuditOutcome.DONE, **details: object
) -> None:
    """Add a row. ``action``: a verb and its object, such as ``job.cancel``. Never give it a secret.

    Within a transaction it stands or falls with what it tells of.
    """
    AuditEntry.objects.create(
        user_id=actor.user_id,
        actor=actor.name[:150],
        via=actor.via[:40],
        address=actor.address[:64],
        action=action,
        target=target[:255],
        outcome=outcome,
        details=details,
    )
    logger.info("audit", actor=actor.name, via=actor.via, action=action, target=target, outcome=outcome.value)


def record_all(actor: Actor, action: str, targets: Mapping[str, Mapping[str, object]]) -> None:
    """Add a row for each target, with its details, in one query."""
    AuditEntry.objects.bulk_create(
        AuditEntry(
            user_id=actor.user_id,
            actor=actor.name[:150],
            via=actor.via[:40],
            address=actor.address[:64],
            action=action,
            target=target[:255],
            details=dict(details),
        )
        for target, details in targets.items()
    )
    for target in targets:
        logger.info("audit", actor=actor.name, via=actor.via, action=action, target=target)


def newest(limit: int, *, before: int | None = None) -> list[AuditEntry]:
    """The last entries, newest first; ``before``: of those with a smaller id."""
    entries = AuditEntry.objects.all() if before is None else AuditEntry.objects.filter(pk__lt=before)
    return list(entries[:limit])
