"""Jobs that bill while nobody here has claimed them, as a strip below the page's head.

Somebody who starts jobs elsewhere on purpose sees it too, so it is calm, goes with one press, and can be put away for
a day. Only where several people share an account it is a warning: then a job may be nobody's.
"""

from dataclasses import dataclass

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.access import CANCEL_ALL, Actor
from jobs.presentation.formats import money
from jobs.services import claiming
from jobs.services.claiming import UnclaimedCost
from providers import names

SNOOZE_COOKIE = "unclaimed_snoozed"
SNOOZE_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class UnclaimedStrip:
    """``job_ids``: those that are spoken of, and that "These are mine" claims."""

    message: str
    job_ids: tuple[str, ...]
    can_claim: bool
    is_warning: bool


def unclaimed_strip(actor: Actor, *, is_snoozed: bool) -> UnclaimedStrip | None:
    """Nothing while nothing bills that nobody has claimed, and nothing for a day after it was put away."""
    if is_snoozed:
        return None
    found = claiming.unclaimed_cost(actor, timezone.now())
    if found is None:
        return None
    return UnclaimedStrip(
        message=_message(found),
        job_ids=found.job_ids,
        can_claim=actor.can(CANCEL_ALL) and actor.user_id is not None,
        is_warning=not settings.SINGLE_USER,
    )


def _message(found: UnclaimedCost) -> str:
    providers = ", ".join(names.LABELS.get(name, name) for name in found.providers)
    rate = _("≈ %(rate)s/h") % {"rate": money(found.usd_per_hour)}
    if found.unpriced == found.count:
        rate = _("at a price that is not known")
    elif found.unpriced:
        rate = _("%(rate)s, and %(count)s of unknown price") % {"rate": rate, "count": found.unpriced}
    return ngettext(
        "%(count)s job at %(providers)s is billing and nobody here claims it (%(rate)s).",
        "%(count)s jobs at %(providers)s are billing and nobody here claims them (%(rate)s).",
        found.count,
    ) % {"count": found.count, "providers": providers, "rate": rate}
