"""What happened lately: a page, the same for the bell, and how much of it is new."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from jobs.presentation.activity import recent_activity
from jobs.services.activity import LARGEST_ID, news_after
from jobs.views.actor import actor_of

LONGEST_ID = 18


@require_safe
@never_cache
def activity(request: HttpRequest) -> HttpResponse:
    """The newest changes of jobs that one may see."""
    actor = actor_of(request)
    return render(request, "jobs/activity.html", {"activity": recent_activity(actor)})


@require_safe
@never_cache
def activity_fragment(request: HttpRequest) -> HttpResponse:
    """The list alone."""
    return render(request, "jobs/_activity.html", {"activity": recent_activity(actor_of(request))})


@require_safe
@never_cache
def activity_news(request: HttpRequest) -> HttpResponse:
    """How many changes there are after the one that is named; what is no id of ours is one that all came before."""
    after = request.GET.get("after", "")
    is_id = after.isascii() and after.isdecimal() and len(after) <= LONGEST_ID
    news = news_after(actor_of(request), int(after) if is_id else LARGEST_ID)
    return JsonResponse({"count": news.count, "newest": news.newest_id})
