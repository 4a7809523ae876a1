"""The page of one job: a head that all parts share, and each part at an address of its own."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from jobs.models import UnifiedJob
from jobs.presentation import job_page as presented
from jobs.presentation import job_tabs as tabs
from jobs.presentation.job_config import comparison, offered_jobs, settings_of
from jobs.presentation.job_cost import job_cost
from jobs.presentation.job_events import job_events
from jobs.presentation.log_states import log_badge
from jobs.presentation.log_text import TAIL_LINES
from jobs.presentation.series_table import series_tables
from jobs.services.lookup import JobNotFound, get_job
from jobs.services.series import stored_series
from jobs.views.actor import actor_of
from jobs.views.pages import fresh, unknown_job


@require_safe
@fresh
def overview(request: HttpRequest, job_id: str) -> HttpResponse:
    """How far the job is, what happened, and the newest lines of its log."""
    job = _job(request, job_id)
    if job is None:
        return unknown_job(request, job_id)
    tail = {"tail": presented.stored_log(job, TAIL_LINES), "log_badge": log_badge(job, timezone.now())}
    return _page(request, job, tabs.OVERVIEW, "jobs/job.html", tail)


@require_safe
@fresh
def logs(request: HttpRequest, job_id: str) -> HttpResponse:
    """The log: all of it with a script, its end without."""
    job = _job(request, job_id)
    if job is None:
        return unknown_job(request, job_id)
    context = {"stored_log": presented.stored_log(job), "log_badge": log_badge(job, timezone.now())}
    return _page(request, job, tabs.LOGS, "jobs/job_logs.html", context)


@require_safe
@fresh
def charts(request: HttpRequest, job_id: str) -> HttpResponse:
    """Loss, learning rate and speed, as charts with a script and as tables in any case."""
    job = _job(request, job_id)
    if job is None:
        return unknown_job(request, job_id)
    context = {"charts": series_tables(stored_series(job))}
    return _page(request, job, tabs.CHARTS, "jobs/job_charts.html", context)


@require_safe
@fresh
def config(request: HttpRequest, job_id: str) -> HttpResponse:
    """What the job was started with, and with ``?with=`` how that differs from another job."""
    job = _job(request, job_id)
    if job is None:
        return unknown_job(request, job_id)
    asked = request.GET.get("with", "").strip()[:128]
    other = _job(request, asked) if asked else None
    note = ""
    if asked and other is None:
        note = _("There is no job with the id %(id)s to compare with.") % {"id": asked}
    elif other is not None and other.pk == job.pk:
        other, note = None, _("This is the job itself.")
    context = {
        "settings": settings_of(job),
        "offered": offered_jobs(job, UnifiedJob.objects.visible_to(actor_of(request))),
        "asked": asked,
        "comparison": comparison(job, other) if other is not None else None,
        "note": note,
    }
    return _page(request, job, tabs.CONFIG, "jobs/job_config.html", context)


@require_safe
@fresh
def events(request: HttpRequest, job_id: str) -> HttpResponse:
    """Every change of status, and every delivery of the provider."""
    job = _job(request, job_id)
    if job is None:
        return unknown_job(request, job_id)
    return _page(request, job, tabs.EVENTS, "jobs/job_events.html", {"events": job_events(job)})


@require_safe
@fresh
def cost(request: HttpRequest, job_id: str) -> HttpResponse:
    """What the job costs, and how that comes about."""
    job = _job(request, job_id)
    if job is None:
        return unknown_job(request, job_id)
    return _page(request, job, tabs.COST, "jobs/job_cost.html", {"cost": job_cost(job)})


@require_safe
@never_cache
def facts_fragment(request: HttpRequest, job_id: str) -> HttpResponse:
    """Progress, facts and what happened, alone."""
    job = _job(request, job_id)
    if job is None:
        return unknown_job(request, job_id)
    return render(request, "jobs/_job_facts.html", {"job": presented.job_page(job, actor=actor_of(request))})


@require_safe
@never_cache
def tail_fragment(request: HttpRequest, job_id: str) -> HttpResponse:
    """The newest lines of the log, alone."""
    job = _job(request, job_id)
    if job is None:
        return unknown_job(request, job_id)
    return render(request, "jobs/_job_tail.html", {"tail": presented.stored_log(job, TAIL_LINES)})


@require_safe
@never_cache
def events_fragment(request: HttpRequest, job_id: str) -> HttpResponse:
    """What happened, alone."""
    job = _job(request, job_id)
    if job is None:
        return unknown_job(request, job_id)
    return render(request, "jobs/_job_events.html", {"events": job_events(job)})


@require_safe
@never_cache
def cost_fragment(request: HttpRequest, job_id: str) -> HttpResponse:
    """What the job costs, alone."""
    job = _job(request, job_id)
    if job is None:
        return unknown_job(request, job_id)
    return render(request, "jobs/_job_cost.html", {"cost": job_cost(job)})


def _job(request: HttpRequest, job_id: str) -> UnifiedJob | None:
    """The job if it is there for the asker; another's is not."""
    try:
        return get_job(job_id, UnifiedJob.objects.visible_to(actor_of(request)))
    except JobNotFound:
        return None


def _page(request: HttpRequest, job: UnifiedJob, tab: str, template: str, context: dict[str, Any]) -> HttpResponse:
    shared = {
        "job": presented.job_page(job, actor=actor_of(request)),
        "tabs": tabs.job_tabs(job.job_id, tab),
        "tab_label": tabs.LABELS[tab],
    }
    return render(request, template, shared | context)
