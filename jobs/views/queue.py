"""The page of the queue, and what its forms do: the same services as the API calls."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from jobs import access
from jobs.models import UnifiedJob
from jobs.presentation import queue_page as presented
from jobs.presentation.retold import retold
from jobs.services import audit, cancelling, queue_actions, queue_limits
from jobs.services.dispatch import processor
from jobs.services.lookup import InvalidState, JobNotFound, get_job
from jobs.views.actor import actor_of
from jobs.views.pages import fresh, unknown_job

form_target = require_http_methods(["GET", "HEAD", "POST"])


@require_safe
@fresh
def queue(request: HttpRequest) -> HttpResponse:
    """What waits, why, and how much may run at once."""
    return render(
        request,
        "jobs/queue.html",
        _context(request) | {"limits": presented.limits()},
    )


@require_safe
@never_cache
def queue_fragment(request: HttpRequest) -> HttpResponse:
    """Numbers and entries alone."""
    return render(request, "jobs/_queue.html", _context(request))


@form_target
def set_limits(request: HttpRequest) -> HttpResponse:
    """Change the limits, and return to the queue. A reload of this address alone does nothing."""
    if request.method == "POST":
        _require(request, access.CHANGE_LIMITS)
        names = [name for name in queue_limits.NAMES if name != "enable_fair_share"]
        try:
            values = {name: _whole_number(request.POST.get(name, "")) for name in names if name in request.POST}
            _limits, changed = queue_limits.change(
                **values, enable_fair_share=request.POST.get("enable_fair_share") == "on"
            )
        except ValueError:
            messages.error(request, _("The limits were not changed: each is a whole number from 1 on."))
        else:
            if changed:
                audit.record(actor_of(request), "queue.limits", changed=changed)
            messages.success(request, _("Limits saved"))
    return redirect("queue")


@form_target
def process(request: HttpRequest) -> HttpResponse:
    """One pass over the queue now."""
    if request.method == "POST":
        _require(request, access.CHANGE_LIMITS)
        done = processor.process()
        audit.record(actor_of(request), "queue.process", started=done.started)
        if done.started:
            words = ngettext("%(count)s job was started", "%(count)s jobs were started", done.started)
            messages.success(request, words % {"count": done.started})
        else:
            messages.info(request, _("Nothing could be started"))
    return redirect("queue")


@form_target
def set_priority(request: HttpRequest, job_id: str) -> HttpResponse:
    """Put a waiting job forward or back; an empty field gives it its own priority again."""
    return _with_job(request, job_id, access.CHANGE_LIMITS, _set_priority)


@form_target
def cancel(request: HttpRequest, job_id: str) -> HttpResponse:
    """End a job that waits."""
    return _with_job(request, job_id, access.CANCEL_OWN, _cancel)


@form_target
def send_again(request: HttpRequest, job_id: str) -> HttpResponse:
    """Send a job once more of which it cannot be told whether it was started."""
    return _with_job(request, job_id, access.CHANGE_LIMITS, _send_again)


def _set_priority(request: HttpRequest, job: UnifiedJob) -> None:
    text = request.POST.get("priority", "").strip()
    try:
        priority = _whole_number(text) if text else None
        queue_actions.set_priority(job.pk, priority)
    except ValueError:
        messages.error(request, _("A priority is a whole number from 0 to 30."))
    else:
        audit.record(actor_of(request), "queue.priority", job.job_id, priority=priority)
        messages.success(request, _("Priority of %(name)s saved") % {"name": job})


def _cancel(request: HttpRequest, job: UnifiedJob) -> None:
    done = cancelling.cancel_job(actor_of(request), job.job_id)
    words = _("Cancel requested for %(name)s") if done.is_cancelling else _("%(name)s was cancelled")
    messages.success(request, words % {"name": job})


def _send_again(request: HttpRequest, job: UnifiedJob) -> None:
    queue_actions.send_again(job.pk)
    audit.record(actor_of(request), "queue.send_again", job.job_id)
    messages.success(request, _("%(name)s is sent again") % {"name": job})


def _with_job(request: HttpRequest, job_id: str, permission: str, act: Any) -> HttpResponse:
    """Do something with a job that exists for whoever asks, and return to the queue."""
    if request.method != "POST":
        return redirect("queue")
    _require(request, permission)
    try:
        job = get_job(job_id, UnifiedJob.objects.visible_to(actor_of(request)))
        act(request, job)
    except JobNotFound:
        return unknown_job(request, job_id)
    except InvalidState as error:
        messages.error(request, retold(error))
    return redirect("queue")


def _require(request: HttpRequest, permission: str) -> None:
    if not actor_of(request).can(permission):
        raise PermissionDenied


def _whole_number(text: str) -> int:
    """Raises ``ValueError`` for what is none, or is written in digits that are no plain ones."""
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise ValueError(text)
    return int(text)


def _context(request: HttpRequest) -> dict[str, Any]:
    return {"queue": presented.queue_page(actor_of(request))}
