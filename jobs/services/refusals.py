"""The record of what somebody asked for and may not have."""

import structlog
from django.db import DatabaseError

from jobs.access import Actor
from jobs.models import AuditOutcome
from jobs.services import audit, rate_limits

logger = structlog.get_logger(__name__)

# A page or a program that asks again and again would otherwise fill the audit log.
MOST, WITHIN_SECONDS = 30, 60.0


def note(actor: Actor, method: str, path: str) -> None:
    """Write down a refusal; never raises, as the answer is the refusal either way."""
    logger.warning("refused", actor=actor.name, via=actor.via, method=method, path=path[:255])
    if rate_limits.take(f"refusals:{actor.user_id}", MOST, WITHIN_SECONDS) is not None:
        return
    try:
        audit.record(actor, "request", path, outcome=AuditOutcome.REFUSED, method=method)
    except DatabaseError as error:
        logger.warning("refusal not recorded", error=str(error))
