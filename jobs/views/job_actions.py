"""What plain forms do with one job beside cancelling it: delete its record, claim or ignore it, give it a budget."""

from collections.abc import Callable

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from jobs.access import Actor
from jobs.models import UnifiedJob
from jobs.presentation.formats import money
from jobs.presentation.job_page import job_page
from jobs.presentation.retold import retold
from jobs.presentation.unclaimed import SNOOZE_COOKIE, SNOOZE_SECONDS
from jobs.services import budgets, claiming, deleting
from jobs.services.lookup import InvalidState, JobNotFound, get_job
from jobs.views.actions import back_to
from jobs.views.actor import actor_of
from jobs.views.pages import unknown_job

REFUSALS = (InvalidState, PermissionDenied, claiming.UnknownUser, budgets.InvalidBudget)


@require_http_methods(["GET", "HEAD", "POST"])
def delete_job(request: HttpRequest, job_id: str) -> HttpResponse:
    """Ask whether to delete; when that was confirmed, do it and return to the list."""
    actor = actor_of(request)
    try:
        job = get_job(job_id, UnifiedJob.objects.visible_to(actor))
        if request.method == "POST":
            deleting.delete_job(actor, job_id)
            messages.success(request, _("The job's record was deleted."))
            return redirect("dashboard")
    except JobNotFound:
        return unknown_job(request, job_id)
    except (InvalidState, PermissionDenied) as error:
        messages.error(request, retold(error))
        return redirect("job", job_id)
    page = job_page(job, actor=actor)
    if not page.rights.can_delete:
        messages.info(request, _("Only jobs that have ended can be deleted, by whoever may cancel them."))
        return redirect("job", job_id)
    return render(request, "jobs/delete.html", {"job": page})


@require_http_methods(["GET", "HEAD", "POST"])
def claim_job(request: HttpRequest, job_id: str) -> HttpResponse:
    """Make a job one's own."""
    return _act(request, job_id, claiming.claim_job, _("The job is yours now."))


@require_http_methods(["GET", "HEAD", "POST"])
def ignore_job(request: HttpRequest, job_id: str) -> HttpResponse:
    """Wave a job aside."""
    return _act(request, job_id, claiming.ignore_job, _("The job is ignored: it goes on, and is not warned of."))


@require_http_methods(["GET", "HEAD", "POST"])
def unignore_job(request: HttpRequest, job_id: str) -> HttpResponse:
    """Let a job be warned of again."""
    return _act(request, job_id, claiming.unignore_job, _("The job is watched again."))


@require_http_methods(["GET", "HEAD", "POST"])
def set_budget(request: HttpRequest, job_id: str) -> HttpResponse:
    """Set or remove a job's budget."""

    def act(actor: Actor, job_id: str) -> None:
        wanted = budgets.parse_budget("" if "remove" in request.POST else request.POST.get("budget_usd", ""))
        job = budgets.set_budget(actor, job_id, wanted)
        if job.budget_usd is None:
            messages.success(request, _("The job has no budget."))
        else:
            messages.success(request, _("The budget is %(amount)s.") % {"amount": money(job.budget_usd)})

    return _act(request, job_id, act)


@require_http_methods(["GET", "HEAD", "POST"])
def claim_shown(request: HttpRequest) -> HttpResponse:
    """Claim the unclaimed jobs that the strip spoke of, and no others."""
    if request.method == "POST":
        try:
            count = claiming.claim_jobs(actor_of(request), request.POST.getlist("job_id"))
        except PermissionDenied as error:
            messages.error(request, retold(error))
        else:
            told = ngettext("%(count)s job is yours now.", "%(count)s jobs are yours now.", count)
            messages.success(request, told % {"count": count})
    return back_to(request, reverse("dashboard"))


@require_http_methods(["GET", "HEAD", "POST"])
def snooze_unclaimed(request: HttpRequest) -> HttpResponse:
    """Put the strip about unclaimed jobs away for a day, in this browser."""
    response = back_to(request, reverse("dashboard"))
    if request.method == "POST":
        response.set_cookie(
            SNOOZE_COOKIE, "1", max_age=SNOOZE_SECONDS, secure=request.is_secure(), httponly=True, samesite="Lax"
        )
    return response


def _act(
    request: HttpRequest, job_id: str, act: Callable[[Actor, str], object], told: str | None = None
) -> HttpResponse:
    """Do it if the form was sent, and return to the job; a reload of the address alone does nothing."""
    if request.method == "POST":
        try:
            act(actor_of(request), job_id)
        except JobNotFound:
            return unknown_job(request, job_id)
        except REFUSALS as error:
            messages.error(request, retold(error))
        else:
            if told:
                messages.success(request, told)
    return back_to(request, reverse("job", args=[job_id]))
