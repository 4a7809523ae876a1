"""The form for how pages look."""

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from jobs.presentation.look import CHOICES
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


def _keep(request: HttpRequest, response: HttpResponse, name: str, word: str) -> None:
    response.set_cookie(name, word, max_age=KEPT_SECONDS, secure=request.is_secure(), httponly=True, samesite="Lax")
