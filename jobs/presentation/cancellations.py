"""A job whose end was asked for, while its provider has yet to confirm it."""

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from jobs.presentation.formats import Moment, moment
from jobs.services.cancel_wishes import BUDGET_WATCH, CONFIRMATION_TIME


@dataclass(frozen=True, slots=True)
class CancellingView:
    """``is_late``: it has taken so long that it may not have been heard. ``problem``: why it was not, if that is known.

    ``can_retry``: somebody may press it again.
    """

    since: Moment | None
    by: str
    text: str
    problem: str
    is_late: bool
    can_retry: bool


def cancelling_view(
    *,
    requested_at: datetime | None,
    requested_by: str,
    accepted_at: datetime | None,
    problem: str,
    provider: str,
    may_cancel: bool,
    now: datetime,
) -> CancellingView | None:
    """What to say of an active job; nothing if nobody asked for its end."""
    if requested_at is None:
        return None
    is_late = now - requested_at >= CONFIRMATION_TIME
    is_budget = requested_by == BUDGET_WATCH.name
    return CancellingView(
        since=moment(requested_at, now),
        by="" if is_budget else requested_by,
        text=_text(is_late, is_budget, accepted_at is not None, provider),
        problem=problem,
        is_late=is_late,
        can_retry=may_cancel and (is_late or bool(problem)),
    )


def _text(is_late: bool, is_budget: bool, is_accepted: bool, provider: str) -> str:
    if is_late:
        return _("No confirmation after 60 s; it may still be billing.")
    if is_accepted:
        return _("%(provider)s has taken the request; the job bills until it has ended there.") % {"provider": provider}
    return _("Budget reached: cancel sent.") if is_budget else _("Cancel requested.")
