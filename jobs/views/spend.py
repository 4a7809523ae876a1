"""The page that tells what was spent, and its form for the limit of cost."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_http_methods, require_safe

from jobs.presentation.retold import retold
from jobs.presentation.spend_page import period_of, spend_page
from jobs.services import cost_limits
from jobs.views.actor import actor_of
from providers.errors import UnknownProvider


@require_safe
@cache_control(private=True, no_cache=True)
def spend(request: HttpRequest) -> HttpResponse:
    """What was spent, by day, provider and hardware."""
    page = spend_page(actor_of(request), period_of(request.GET.get("days", "")), timezone.now())
    return render(request, "jobs/spend.html", {"spend": page})


@require_http_methods(["GET", "HEAD", "POST"])
def set_limit(request: HttpRequest, provider: str) -> HttpResponse:
    """Change a provider's limit of cost, and return to the page. A reload of this address alone does nothing."""
    if request.method == "POST":
        form = request.POST
        try:
            cost_limits.set_limit(
                actor_of(request),
                provider,
                enabled=form.get("enabled") == "on",
                amount=form.get("amount", "").strip() or None,
                period=form.get("period") or None,
                action=form.get("action") or None,
            )
        except cost_limits.InvalidLimit as error:
            messages.error(request, retold(error.reason))
        except (PermissionDenied, UnknownProvider) as error:
            messages.error(request, retold(error))
        else:
            messages.success(request, _("The limit was saved."))
    return redirect("spend")
