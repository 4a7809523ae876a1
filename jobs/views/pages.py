"""Pages and the fragments that keep them fresh. A page includes the fragment's template, so both say the same."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.http import require_safe

from jobs.access import SYNC
from jobs.models import JobLog, JobQuerySet, UnifiedJob
from jobs.presentation import job_page as presented
from jobs.presentation.history_import import HistoryImport, history_import
from jobs.presentation.list_options import list_options
from jobs.presentation.list_state import ListState
from jobs.presentation.listing import listing
from jobs.presentation.log_states import log_badge
from jobs.presentation.metric_cards import metric_cards
from jobs.services.lookup import JobNotFound, get_job
from jobs.services.trends import has_jobs
from jobs.views.actor import actor_of, needs

# A page from the cache of the back button is revalidated: its times and states are of another day.
fresh = cache_control(private=True, no_cache=True)


@require_safe
@fresh
def dashboard(request: HttpRequest) -> HttpResponse:
    """The list of jobs and the numbers above it."""
    actor = actor_of(request)
    context = _list_context(request) | {"metrics": metric_cards(actor)}
    context["options"] = list_options(context["listing"].state, actor)
    walk = history_import() if actor.can(SYNC) else HistoryImport()
    context |= {"import": walk, "has_trends": has_jobs(actor)}
    return render(request, "jobs/dashboard.html", context)


@require_safe
@never_cache
def job_list_fragment(request: HttpRequest) -> HttpResponse:
    """The list alone."""
    return render(request, "jobs/_job_list.html", _list_context(request))


@require_safe
@never_cache
@needs(SYNC)
def history_import_fragment(request: HttpRequest) -> HttpResponse:
    """How far the import of the history is, alone."""
    return render(request, "jobs/_history_import.html", {"import": history_import()})


@require_safe
@never_cache
def metrics_fragment(request: HttpRequest) -> HttpResponse:
    """The numbers alone."""
    return render(request, "jobs/_metrics.html", {"metrics": metric_cards(actor_of(request))})


@require_safe
@never_cache
def notices_fragment(request: HttpRequest) -> HttpResponse:
    """What is not well, alone."""
    return render(request, "jobs/_notices.html")


@require_safe
@never_cache
def job_fragment(request: HttpRequest, job_id: str) -> HttpResponse:
    """The head of one job's page alone."""
    try:
        found = get_job(job_id, _visible(request))
    except JobNotFound:
        return unknown_job(request, job_id)
    return render(request, "jobs/_job_overview.html", {"job": presented.job_page(found, actor=actor_of(request))})


@require_safe
@never_cache
def log_state_fragment(request: HttpRequest, job_id: str) -> HttpResponse:
    """Where the log of one job is, alone."""
    try:
        found = get_job(job_id, _visible(request))
    except JobNotFound:
        return unknown_job(request, job_id)
    return render(request, "jobs/_log_state.html", {"log_badge": log_badge(found, timezone.now())})


@require_safe
@never_cache
def job_log(request: HttpRequest, job_id: str) -> HttpResponse:
    """Our copy of a job's log as a file, with its control characters; where some is missing, a line says so."""
    try:
        found = get_job(job_id, _visible(request).only("job_id"))
    except JobNotFound:
        return unknown_job(request, job_id)
    log = JobLog.objects.filter(job=found).first()
    response = HttpResponse(log.text if log else "", content_type="text/plain; charset=utf-8")
    # A job's id may hold characters that a header or a file name may not.
    name = "".join(character if character.isascii() and character.isalnum() else "-" for character in found.job_id)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.log"'
    return response


def unknown_job(request: HttpRequest, job_id: str) -> HttpResponse:
    """The page for a job that is not here."""
    return render(request, "404.html", {"job_id": job_id[:128]}, status=404)


def _list_context(request: HttpRequest) -> dict[str, Any]:
    return {"listing": listing(ListState.read(request.GET), actor_of(request))}


def _visible(request: HttpRequest) -> JobQuerySet:
    return UnifiedJob.objects.visible_to(actor_of(request))
