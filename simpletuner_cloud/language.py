"""Which language an answer speaks: pages the reader's, everything that programs read English."""

import hashlib
from functools import cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.utils import translation
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.utils.http import urlencode
from django.views.i18n import JavaScriptCatalog

# Of these addresses every word is a contract with programs, whatever their user's browser prefers.
PROGRAMS_PATHS = ("/api/", "/jobs.csv")
# A page asks for its parts in the language that it is in itself. Its reader may have chosen another one since, in
# another tab, and half of each would be read by nobody.
PART_HEADER = "Page-Language"
PARTS_PATH = "/fragments/"
KEPT_SECONDS = 365 * 24 * 3600


class LanguageMiddleware(LocaleMiddleware):
    """The reader's choice (a cookie), else what their browser prefers; English below /api/ and in exports."""

    def process_request(self, request: HttpRequest) -> None:
        """Activate the language for this request."""
        if _is_for_programs(request):
            language = settings.LANGUAGE_CODE
        else:
            language = _of_page(request) or translation.get_language_from_request(request)
        translation.activate(language)
        request.LANGUAGE_CODE = language

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Say which language it is, and what that hung on."""
        if not _is_for_programs(request):
            response.headers.setdefault("Content-Language", translation.get_language() or settings.LANGUAGE_CODE)
            if not getattr(response, "is_same_for_all", False):
                patch_vary_headers(response, ("Accept-Language", "Cookie"))
            if request.path_info.startswith(PARTS_PATH):
                patch_vary_headers(response, (PART_HEADER,))
        # The thread serves others next, and what is refused before it comes here is told in English.
        translation.deactivate()
        return response


class Catalogue(JavaScriptCatalog):
    """The texts of the scripts in one language.

    Named with its language and a mark of its content it may be kept for ever: another text has another address.
    """

    # Whatever lies in LOCALE_PATHS comes with any package; without one, so does the administration's own.
    packages = ["jobs"]

    def get(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        """The language that the address names, or the reader's."""
        named = request.GET.get("language", "")
        if named not in dict(settings.LANGUAGES):
            return super().get(request, *args, **kwargs)
        with translation.override(named):
            response = super().get(request, *args, **kwargs)
        response.headers["Content-Language"] = named
        response.is_same_for_all = True  # type: ignore[attr-defined]
        if request.GET.get("v") == version_of(response.content):
            patch_cache_control(response, public=True, max_age=KEPT_SECONDS, immutable=True)
        else:
            patch_cache_control(response, no_cache=True)
        return response


@cache
def catalogue_query(language: str) -> str:
    """What follows the catalogue's path for a language, as this process has its texts."""
    with translation.override(language):
        content = Catalogue().get(HttpRequest()).content
    return urlencode({"language": language, "v": version_of(content)})


def version_of(content: bytes) -> str:
    """A mark that changes with the content."""
    return hashlib.sha256(content).hexdigest()[:12]


def _is_for_programs(request: HttpRequest) -> bool:
    path = request.path_info
    return path.startswith(PROGRAMS_PATHS) or path == "/api"


def _of_page(request: HttpRequest) -> str:
    """The language of the page that asks for a part of itself; empty for everything else."""
    named = request.headers.get(PART_HEADER, "")
    is_part = request.path_info.startswith(PARTS_PATH)
    return named if is_part and named in dict(settings.LANGUAGES) else ""
