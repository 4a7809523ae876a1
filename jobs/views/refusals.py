"""What somebody is told who may not have what they asked for: a page for people, JSON below /api/."""

from http import HTTPStatus

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import requires_csrf_token

from jobs.services import refusals
from jobs.views.actor import actor_of

API = "/api/"


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:  # noqa: ARG001
    """A page or an action that one's role does not have; it is written to the audit log."""
    actor = actor_of(request)
    if actor.user_id is not None:
        refusals.note(actor, request.method or "", request.path)
    if request.path_info.startswith(API):
        body = {"detail": "You do not have permission to perform this action.", "code": "permission_denied"}
        return JsonResponse(body, status=HTTPStatus.FORBIDDEN)
    return render(request, "403.html", status=HTTPStatus.FORBIDDEN)


@login_not_required
@requires_csrf_token
def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form that no page of ours has sent, or one that is older than the last login."""
    if request.path_info.startswith(API):
        body = {"detail": f"The page is from another login: load it again. ({reason})", "code": "csrf_failed"}
        return JsonResponse(body, status=HTTPStatus.FORBIDDEN)
    return render(request, "accounts/stale_form.html", status=HTTPStatus.FORBIDDEN)
