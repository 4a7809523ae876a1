"""Coming in and going out."""

import math
from http import HTTPStatus

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import authenticate, login, logout, update_session_auth_hash
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from jobs.services import audit
from jobs.services.actors import actor_for
from jobs.services.logins import LoginAttempt
from jobs.views.actor import actor_of

LONGEST_NAME, LONGEST_PASSWORD = 150, 4096


@login_not_required
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def log_in(request: HttpRequest) -> HttpResponse:
    """Ask for name and password, and lead on to where somebody wanted to go."""
    target = _target(request)
    if settings.SINGLE_USER or (request.method != "POST" and request.user.is_authenticated):
        return HttpResponseRedirect(target)
    if request.method != "POST":
        return _form(request, target)
    name, password = request.POST.get("username", "").strip(), request.POST.get("password", "")
    attempt = LoginAttempt(name=name[:LONGEST_NAME], address=_address(request))
    if wait := attempt.begin():
        return _too_many(_form(request, target, waiting_words(wait), HTTPStatus.TOO_MANY_REQUESTS), wait)
    user = authenticate(request, username=name, password=password) if _is_usable(name, password) else None
    if not isinstance(user, AbstractUser):
        attempt.failed()
        return _form(request, target, _("This name and password do not belong together."), HTTPStatus.BAD_REQUEST)
    # Gives the session another key, so that one that somebody planted is worth nothing.
    login(request, user)
    # Those that have ended stay in their table until somebody clears it.
    request.session.clear_expired()
    attempt.succeeded(actor_for(user, via="session", address=_address(request)))
    return HttpResponseRedirect(target)


@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def log_out(request: HttpRequest) -> HttpResponse:
    """End the session. A link alone does not: it could stand on any page."""
    if request.method != "POST":
        return redirect("dashboard")
    actor = actor_of(request)
    if actor.user_id is not None and not settings.SINGLE_USER:
        audit.record(actor, "logout")
        logout(request)
    return redirect("login")


@never_cache
@sensitive_post_parameters("old_password", "new_password1", "new_password2")
@require_http_methods(["GET", "HEAD", "POST"])
def change_password(request: HttpRequest) -> HttpResponse:
    """Change one's own password. All other sessions of the account end with it."""
    user = request.user
    if settings.SINGLE_USER or not isinstance(user, AbstractUser):
        return redirect("dashboard")
    if request.method != "POST":
        return render(request, "accounts/password.html", {"form": PasswordChangeForm(user)})
    attempt = LoginAttempt(name=user.get_username(), address=_address(request))
    form = PasswordChangeForm(user, request.POST)
    if wait := attempt.begin():
        context = {"form": PasswordChangeForm(user), "problem": waiting_words(wait)}
        return _too_many(render(request, "accounts/password.html", context, status=HTTPStatus.TOO_MANY_REQUESTS), wait)
    if not form.is_valid():
        if "old_password" not in form.errors:
            attempt.forgive()
        return render(request, "accounts/password.html", {"form": form}, status=HTTPStatus.BAD_REQUEST)
    attempt.forgive()
    form.save()
    update_session_auth_hash(request, user)
    audit.record(actor_of(request), "password.change", user.get_username())
    messages.success(request, _("Your password is changed. Other sessions of yours have ended."))
    return redirect("account")


@login_not_required
def administration_login(request: HttpRequest) -> HttpResponse:
    """The administration has no door of its own: whoever is in already has not the role for it."""
    if request.user.is_authenticated:
        raise PermissionDenied
    return redirect(f"{reverse('login')}?{request.GET.urlencode()}")


def waiting_words(seconds: float) -> str:
    """How long to wait, in words."""
    if seconds >= 60:
        minutes = math.ceil(seconds / 60)
        told = ngettext("%(count)d minute", "%(count)d minutes", minutes) % {"count": minutes}
    else:
        told = ngettext("%(count)d second", "%(count)d seconds", math.ceil(seconds)) % {"count": math.ceil(seconds)}
    return _("Too many attempts that failed. Try again in %(time)s.") % {"time": told}


def _form(request: HttpRequest, target: str, problem: str = "", status: HTTPStatus = HTTPStatus.OK) -> HttpResponse:
    name = request.POST.get("username", "")[:LONGEST_NAME]
    return render(request, "accounts/login.html", {"next": target, "name": name, "problem": problem}, status=status)


def _too_many(response: HttpResponse, wait: float) -> HttpResponse:
    response.headers["Retry-After"] = str(math.ceil(wait))
    return response


def _is_usable(name: str, password: str) -> bool:
    # PostgreSQL refuses to look for a NUL.
    return bool(name) and "\x00" not in name and len(name) <= LONGEST_NAME and len(password) <= LONGEST_PASSWORD


def _address(request: HttpRequest) -> str:
    address: str = request.client_address  # type: ignore[attr-defined]
    return address


def _target(request: HttpRequest) -> str:
    """Where to go then: an address of ours, or the list."""
    target = request.POST.get("next") or request.GET.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return target if is_ours else reverse("dashboard")
