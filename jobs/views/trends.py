"""The charts of the last days: a page of their own, and what the dashboard loads when they come into view."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from jobs.presentation.trends import day_charts
from jobs.views.actor import actor_of


@require_safe
@never_cache
def trends(request: HttpRequest) -> HttpResponse:
    """Costs and endings, day by day."""
    actor = actor_of(request)
    return render(request, "jobs/trends.html", {"charts": day_charts(actor)})


@require_safe
@never_cache
def trends_fragment(request: HttpRequest) -> HttpResponse:
    """The charts alone."""
    return render(request, "jobs/_trends.html", {"charts": day_charts(actor_of(request))})
