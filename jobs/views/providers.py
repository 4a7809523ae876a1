"""The page on providers and its forms: checking an account, setting a token, setting the webhook URL."""

from http import HTTPStatus

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from jobs.access import CONFIGURE_PROVIDERS
from jobs.presentation.providers_page import providers_page
from jobs.presentation.retold import retold, retold_plainly
from jobs.services import provider_accounts, provider_options, provider_tokens
from jobs.services.lookup import InvalidState
from jobs.services.provider_options import InvalidOption
from jobs.services.provider_tokens import TokenRefused
from jobs.views.actor import actor_of, needs
from providers import names
from providers.errors import UnknownProvider

POST_TO_ACT = require_http_methods(["GET", "HEAD", "POST"])


@require_safe
@never_cache
@needs(CONFIGURE_PROVIDERS)
def providers(request: HttpRequest) -> HttpResponse:
    """Every provider: its account, its calls, what is set for it."""
    return _page(request)


@require_safe
@never_cache
@needs(CONFIGURE_PROVIDERS)
def provider_facts_fragment(request: HttpRequest, provider: str) -> HttpResponse:
    """How one provider's calls go, alone."""
    for card in providers_page().cards:
        if card.name == provider:
            return render(request, "jobs/_provider_facts.html", {"provider": card})
    raise Http404


@POST_TO_ACT
@needs(CONFIGURE_PROVIDERS)
def validate(request: HttpRequest, provider: str) -> HttpResponse:
    """Ask the provider whose account the token opens, and return."""
    if request.method == "POST":
        try:
            found = provider_accounts.validate(provider)
        except UnknownProvider as error:
            raise Http404 from error
        if found.account:
            facts = {"label": names.LABELS.get(provider, provider), "account": found.account.username}
            messages.success(request, _("%(label)s takes the token: the account is %(account)s.") % facts)
        else:
            messages.error(request, retold(found.error) if found.error else _("It could not be checked."))
    return redirect("providers")


@sensitive_post_parameters("token")
@POST_TO_ACT
@needs(CONFIGURE_PROVIDERS)
def set_token(request: HttpRequest, provider: str) -> HttpResponse:
    """Keep a new token in place of the one that was stored, and return; it is never shown."""
    if request.method == "POST":
        token, is_checked = request.POST.get("token", "").strip(), request.POST.get("check") == "on"
        try:
            change = provider_tokens.set_token(actor_of(request), provider, token, check=is_checked)
        except UnknownProvider as error:
            raise Http404 from error
        except ValueError as error:
            messages.error(request, _("The token %(reason)s.") % {"reason": retold_plainly(error)})
        except (InvalidState, TokenRefused) as error:
            messages.error(request, retold(error))
        else:
            messages.success(request, change.message)
    return redirect("providers")


@POST_TO_ACT
@needs(CONFIGURE_PROVIDERS)
def remove_token(request: HttpRequest, provider: str) -> HttpResponse:
    """Forget the stored token, and return."""
    if request.method == "POST":
        try:
            change = provider_tokens.remove_token(actor_of(request), provider)
        except UnknownProvider as error:
            raise Http404 from error
        except InvalidState as error:
            messages.error(request, retold(error))
        else:
            messages.success(request, change.message)
    return redirect("providers")


@POST_TO_ACT
@needs(CONFIGURE_PROVIDERS)
def set_webhook(request: HttpRequest, provider: str) -> HttpResponse:
    """Set the URL that the provider shall call, and return; one that cannot be is shown again with the reason."""
    if request.method == "POST":
        url = request.POST.get("webhook_url", "").strip()
        try:
            provider_options.change_options(actor_of(request), provider, {"webhook_url": url})
        except UnknownProvider as error:
            raise Http404 from error
        except InvalidOption as error:
            refused = {"provider": provider, "url": url[:2000], "reason": retold(error)}
            return _page(request, refused=refused, status=HTTPStatus.BAD_REQUEST)
        said = _("The webhook URL was saved.") if url else _("The webhook URL was removed.")
        messages.success(request, said)
    return redirect("providers")


def _page(request: HttpRequest, *, refused: dict[str, str] | None = None, status: int = HTTPStatus.OK) -> HttpResponse:
    context = {"page": providers_page(), "refused": refused or {}}
    return render(request, "jobs/providers.html", context, status=status)
