"""One's own account: its role, what it may do, and its API keys."""

from http import HTTPStatus

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from jobs.presentation import accounts as presented
from jobs.presentation.retold import retold
from jobs.services import accounts, api_keys
from jobs.services.api_keys import KeyNotFound, KeyRefused
from jobs.views.actor import actor_of


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """Who one is here. A new key is shown in the answer to its form, and nowhere ever again."""
    user = request.user
    if settings.SINGLE_USER or not isinstance(user, User):
        return redirect("dashboard")
    if request.method != "POST":
        return _page(request, user)
    days = request.POST.get("days", "")
    name = request.POST.get("name", "").replace("\x00", "").strip()
    if not name:
        return _page(request, user, problem=_("Give the key a name."))
    if not days.isascii() or not days.isdecimal() or int(days) not in presented.LIFETIMES:
        return _page(request, user, problem=_("Choose how long the key is good for."))
    try:
        made = api_keys.create_key(
            actor_of(request), user, name=name, scopes=request.POST.getlist("scopes"), days=int(days) or None
        )
    except KeyRefused as error:
        return _page(request, user, problem=retold(error))
    return _page(request, user, new_key=made.text)


@require_http_methods(["GET", "HEAD", "POST"])
def revoke_key(request: HttpRequest, key_id: int) -> HttpResponse:
    """End one of one's keys."""
    if request.method == "POST":
        try:
            key = api_keys.revoke_key(actor_of(request), key_id)
        except KeyNotFound as error:
            raise Http404 from error
        messages.success(request, _("The key %(prefix)s… opens nothing any more.") % {"prefix": key.prefix})
    return redirect("account")


def _page(request: HttpRequest, user: User, *, problem: str = "", new_key: str = "") -> HttpResponse:
    actor = actor_of(request)
    context = {
        "role": presented.role_label(accounts.role_of(user)),
        "permissions": presented.permission_rows(actor),
        "keys": presented.key_rows(api_keys.keys_of(actor)),
        "lifetimes": presented.lifetimes(),
        "name": "" if new_key else request.POST.get("name", ""),
        "problem": problem,
        "new_key": new_key,
    }
    status = HTTPStatus.BAD_REQUEST if problem else HTTPStatus.OK
    return render(request, "accounts/account.html", context, status=status)
