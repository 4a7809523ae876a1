"""What a job costs, in words, and why that is sometimes not known (SPEC B3)."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.utils.translation import gettext as _

from jobs.lifecycle import ACTIVE
from jobs.presentation.formats import money


@dataclass(frozen=True, slots=True)
class CostView:
    """``text`` stands in the page, ``reason`` explains it; ``is_known`` is false for an unknown cost."""

    text: str
    reason: str
    is_known: bool = True


def cost_view(cost_usd: Decimal | None, *, status: str, started_at: datetime | None, hardware: str | None) -> CostView:
    """The cost so far of an active job, the final cost of an ended one."""
    if cost_usd is not None and status in ACTIVE:
        return CostView(f"≈ {money(cost_usd)}", _("So far; it grows until the job ends."))
    if cost_usd is not None:
        return CostView(money(cost_usd), _("Final cost."))
    if started_at is None:
        return CostView("–", _("The job has not started, so nothing is billed."))
    if hardware is None:
        reason = _("It is not known which hardware this model runs on, so its price is not known either.")
    else:
        reason = _("No price is known for %(hardware)s.") % {"hardware": hardware}
    return CostView(_("unknown"), reason, is_known=False)
