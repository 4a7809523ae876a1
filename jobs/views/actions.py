"""What plain forms do, for whoever has no script: the same services as the API calls, the same words as its toasts."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from jobs.access import SYNC
from jobs.lifecycle import JobStatus
from jobs.models import UnifiedJob
from jobs.presentation.job_page import job_page
from jobs.presentation.retold import retold, retold_plainly
from jobs.services import audit, cancelling, history_walk, sync
from jobs.services.lookup import InvalidState, JobNotFound, get_job
from jobs.services.sync import Discovery
from jobs.views.actor import actor_of, needs
from jobs.views.pages import unknown_job
from providers import names
from providers.errors import ProviderError


@require_http_methods(["GET", "HEAD", "POST"])
@needs(SYNC)
def sync_jobs(request: HttpRequest) -> HttpResponse:
    """Discover jobs, then return to the list. A reload of this address alone does nothing."""
    if request.method != "POST":
        return redirect("dashboard")
    audit.record(actor_of(request), "jobs.sync", names.REPLICATE)
    try:
        done = sync.discover_jobs(names.REPLICATE)
    except ProviderError as error:
        messages.error(request, retold(error.message))
    else:
        message = discovery_message(done)
        if done.errors:
            messages.warning(request, message)
        elif done.joined:
            messages.info(request, message)
        else:
            messages.success(request, message)
    return _back_to_list(request)


@require_http_methods(["GET", "HEAD", "POST"])
@needs(SYNC)
def import_history(request: HttpRequest) -> HttpResponse:
    """Begin to read the provider's whole history in the background; the list, to which this returns, tells how far."""
    if request.method != "POST":
        return redirect("dashboard")
    audit.record(actor_of(request), "history.import", names.REPLICATE)
    try:
        history_walk.start(names.REPLICATE)
    except ProviderError as error:
        messages.error(request, retold(error.message))
    return _back_to_list(request)


@require_http_methods(["GET", "HEAD", "POST"])
@needs(SYNC)
def stop_history_import(request: HttpRequest) -> HttpResponse:
    """End the import that is under way, and return to the list."""
    if request.method != "POST":
        return redirect("dashboard")
    try:
        history_walk.cancel(names.REPLICATE)
    except InvalidState as error:
        messages.info(request, retold(error))
    else:
        audit.record(actor_of(request), "history.stop", names.REPLICATE)
    return _back_to_list(request)


@require_http_methods(["GET", "HEAD", "POST"])
def cancel_job(request: HttpRequest, job_id: str) -> HttpResponse:
    """Ask whether to cancel; when that was confirmed, do it and return to the job."""
    actor = actor_of(request)
    try:
        job = get_job(job_id, UnifiedJob.objects.visible_to(actor))
        if not actor.may_cancel(job.owner_id):
            raise PermissionDenied
        if request.method == "POST":
            _cancel(request, job.job_id)
            return back_to(request, reverse("job", args=[job_id]))
    except JobNotFound:
        return unknown_job(request, job_id)
    page = job_page(job, actor=actor)
    if not page.can_cancel:
        messages.info(request, _("There is nothing to cancel: the job is %(status)s.") % {"status": page.status.label})
        return redirect("job", job_id)
    return render(request, "jobs/cancel.html", {"job": page})


def discovery_message(done: Discovery) -> str:
    """The sentence of SPEC A3.2, with what else there is to say."""
    if done.joined:
        return _("A sync is already running.")
    # The contract fixes the English sentence for every number; other languages have their plurals.
    found = ngettext(
        "Discovered %(count)s jobs from %(provider)s", "Discovered %(count)s jobs from %(provider)s", done.found
    ) % {"count": done.found, "provider": done.provider_label}
    if not done.errors:
        return found
    said = {"found": found, "reason": retold_plainly(done.errors[0])}
    return _("%(found)s, but only part could be read: %(reason)s") % said


def _cancel(request: HttpRequest, job_id: str) -> None:
    try:
        job = cancelling.cancel_job(actor_of(request), job_id).job
    except (InvalidState, PermissionDenied, ProviderError) as error:
        messages.error(request, retold(error))
    else:
        if job.status == JobStatus.CANCELLED and job.external_id:
            provider = names.LABELS.get(job.provider, job.provider)
            messages.success(request, _("Cancelled, confirmed by %(provider)s") % {"provider": provider})
        elif job.status == JobStatus.CANCELLED:
            messages.success(request, _("Cancelled before it was sent to its provider"))
        else:
            messages.info(request, _("Cancel requested"))


def back_to(request: HttpRequest, otherwise: str) -> HttpResponseRedirect:
    """To the page that a form names; anything but an address of ours is not heeded."""
    target = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(target, allowed_hosts=None):
        target = otherwise
    return HttpResponseRedirect(target)


def _back_to_list(request: HttpRequest) -> HttpResponseRedirect:
    return back_to(request, reverse("dashboard"))
