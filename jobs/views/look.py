"""The forms for how pages look: theme and times, and warnings that were read."""

from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from jobs.presentation.look import CHOICES
from jobs.presentation.notices import KEY, SNOOZE_PREFIX, SNOOZE_SECONDS
from jobs.views.actions import back_to

KEPT_SECONDS = settings.LANGUAGE_COOKIE_AGE


@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def change_look(request: HttpRequest) -> HttpResponse:
    """Remember the choices that are named in this browser, and return; what is no choice of ours changes nothing."""
    response = back_to(request, reverse("dashboard"))
    if request.method == "POST":
        for name, words in CHOICES.items():
            word = request.POST.get(name, "")
            if word in words:
                _keep(request, response, name, word)
        language = request.POST.get("language", "")
        if language in dict(settings.LANGUAGES):
            _keep(request, response, settings.LANGUAGE_COOKIE_NAME, language)
    return response


def _keep(request: HttpRequest, response: HttpResponse, name: str, word: str, *, seconds: int = KEPT_SECONDS) -> None:
    response.set_cookie(name, word, max_age=seconds, secure=request.is_secure(), httponly=True, samesite="Lax")


@require_http_methods(["GET", "HEAD", "POST"])
def snooze_notice(request: HttpRequest, key: str) -> HttpResponse:
    """Put one warning away for an hour, in this browser, and return to the page that it stood on."""
    if KEY.fullmatch(key) is None:
        raise Http404
    response = back_to(request, _page_before(request))
    if request.method == "POST":
        _keep(request, response, f"{SNOOZE_PREFIX}{key}", "1", seconds=SNOOZE_SECONDS)
    return response


def _page_before(request: HttpRequest) -> str:
    """The strip is a fragment, which does not know the page that it stands on; the browser does."""
    page = urlsplit(request.headers.get("Referer", ""))
    is_ours = page.netloc == request.get_host() and page.path.startswith("/") and not page.path.startswith("//")
    return f"{page.path}?{page.query}" if is_ours and page.query else page.path if is_ours else reverse("dashboard")
