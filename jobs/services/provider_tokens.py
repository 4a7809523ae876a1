"""Tokens of providers that people give us: kept encrypted, never shown again (docs/adr/0015-provider-tokens.md)."""

from dataclasses import dataclass
from enum import StrEnum

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from jobs import waiting_token
from jobs.access import SYSTEM, Actor
from jobs.known_secrets import remember
from jobs.models import AuditOutcome, ProviderCredential
from jobs.services import audit
from jobs.services.call_governor import forget_breaker
from jobs.services.lookup import InvalidState
from jobs.services.provider_calls import note_success
from jobs.services.token_source import forget_tokens
from jobs.token_cipher import TokenUnreadable, encrypt, with_first_key
from jobs.token_text import checked_token, last_four, masked
from jobs.waiting_token import WaitingToken
from providers import registry
from providers.errors import ProviderAuthError, ProviderError, ProviderNotConfigured, UnknownProvider

logger = structlog.get_logger(__name__)


class TokenSource(StrEnum):
    """Where the token of the real account comes from. The environment's always wins."""

    ENVIRONMENT = "environment"
    STORED = "stored"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenStanding:
    """The real account's token, as far as it is ever told.

    ``is_waiting``: the sandbox runs, and the token is used from the next start on. ``problem``: why the provider cannot
    be asked at all; empty if it can.
    """

    origin: TokenSource
    last_four: str = ""
    is_waiting: bool = False
    problem: str = ""

    @property
    def masked(self) -> str:
        return "" if self.origin is TokenSource.NONE else masked(self.last_four)


@dataclass(frozen=True, slots=True)
class TokenChange:
    """What was done, in words for whoever asked for it. ``is_sure``: the token was tried, and is in use."""

    message: str
    last_four: str = ""
    is_sure: bool = True


class TokenRefused(Exception):
    """The provider does not take the new token; what was stored before stays. Never holds the token."""


def token_standing(provider: str) -> TokenStanding:
    """Raises ``UnknownProvider``."""
    if settings.IS_SANDBOX:
        _require_known(provider)
        waiting = waiting_token.read(settings.LIVE_STORE_DIR, provider)
        if waiting is None:
            return TokenStanding(origin=TokenSource.NONE)
        return TokenStanding(origin=TokenSource.STORED, last_four=waiting.last_four, is_waiting=True)
    given = _given_token(provider)
    try:
        token = registry.get_token(provider)
    except ProviderNotConfigured as error:
        ending = ProviderCredential.objects.filter(provider=provider).values_list("last_four", flat=True).first()
        origin = TokenSource.NONE if ending is None else TokenSource.STORED
        return TokenStanding(origin=origin, last_four=ending or "", problem=error.message)
    return TokenStanding(origin=TokenSource.ENVIRONMENT if given else TokenSource.STORED, last_four=last_four(token))


def set_token(actor: Actor, provider: str, token: str, *, check: bool = True) -> TokenChange:
    """Keep a token, encrypted, in place of the one that was stored.

    It is tried at the provider first, unless ``check`` is false; a provider that cannot be asked does not hinder it.
    Raises ``UnknownProvider``, ``ValueError`` for what is no token, ``TokenRefused``, and ``InvalidState`` where the
    token is not ours to keep.
    """
    token = checked_token(token)
    remember(token)
    _require_storable(provider)
    try:
        account, was_taken = _try(provider, token) if check else (_("It was not checked."), False)
    except TokenRefused:
        audit.record(actor, "provider.token.set", provider, outcome=AuditOutcome.REFUSED, last_four=last_four(token))
        raise
    ending = last_four(token)
    try:
        _store(actor, provider, token, ending)
    except OSError as error:
        logger.error("token not stored", provider=provider, reason=error.strerror)
        raise InvalidState(
            _("The token cannot be kept below the home directory: %(reason)s. Nothing was changed.")
            % {"reason": error.strerror}
        ) from None
    facts = {"label": registry.get_label(provider), "token": masked(ending), "account": account}
    if settings.IS_SANDBOX:
        message = _(
            "The token %(token)s is stored. %(account)s The sandbox goes on until the next start; from then on your "
            "real %(label)s account is used."
        )
        return TokenChange(message % facts, ending, is_sure=False)
    forget_tokens()
    forget_breaker(provider, token)
    return TokenChange(_("The token %(token)s is stored and in use. %(account)s") % facts, ending, is_sure=was_taken)


def _store(actor: Actor, provider: str, token: str, ending: str) -> None:
    """Raises ``OSError``; then nothing is stored."""
    ciphertext, now, set_by = encrypt(token), timezone.now(), actor.name[:150]
    with transaction.atomic():
        audit.record(actor, "provider.token.set", provider, last_four=ending)
        if settings.IS_SANDBOX:
            waiting_token.keep(
                settings.LIVE_STORE_DIR,
                provider,
                WaitingToken(
                    ciphertext=ciphertext.decode("ascii"), last_four=ending, set_at=now.isoformat(), set_by=set_by
                ),
            )
            return
        ProviderCredential.objects.update_or_create(
            provider=provider,
            defaults={"ciphertext": ciphertext, "last_four": ending, "set_at": now, "set_by": set_by},
        )
        waiting_token.mark(settings.LIVE_STORE_DIR, provider)


def remove_token(actor: Actor, provider: str) -> TokenChange:
    """Forget the stored token. Raises ``UnknownProvider`` and ``InvalidState``."""
    _require_storable(provider)
    label = registry.get_label(provider)
    standing = token_standing(provider)
    if standing.origin is TokenSource.NONE:
        return TokenChange(_("No token of %(label)s was stored.") % {"label": label})
    with transaction.atomic():
        audit.record(actor, "provider.token.delete", provider, last_four=standing.last_four)
        if not settings.IS_SANDBOX:
            ProviderCredential.objects.filter(provider=provider).delete()
        # A database that both stores would have to share stays the live one's, with or without a token.
        if settings.EACH_STORE_HAS_ITS_DATABASE:
            waiting_token.remove(settings.LIVE_STORE_DIR, provider)
    facts = {"label": label, "token": standing.masked}
    if settings.IS_SANDBOX:
        return TokenChange(_("The token %(token)s is forgotten; the sandbox goes on.") % facts)
    forget_tokens()
    if settings.EACH_STORE_HAS_ITS_DATABASE:
        message = _(
            "The token %(token)s is forgotten, and %(label)s is not asked any more. The next start runs the sandbox, "
            "unless there is a token again or SIMPLETUNER_STORE is live; what is known of your real account stays in "
            "its store."
        )
    else:
        message = _("The token %(token)s is forgotten, and %(label)s is not asked until there is another one.")
    return TokenChange(message % facts)


def prepare_tokens() -> None:
    """For the start of a live store: take in the tokens that waited for it, and encrypt all with the first key.

    Never hinders the start: what cannot be taken in or read stays as it is, and is told.
    """
    for provider in registry.provider_names():
        waiting = waiting_token.read(settings.LIVE_STORE_DIR, provider)
        if waiting is not None:
            _take_in(provider, waiting)
    for credential in ProviderCredential.objects.all():
        ciphertext = bytes(credential.ciphertext)
        try:
            credential.ciphertext = with_first_key(ciphertext)
        except (TokenUnreadable, OSError) as error:
            logger.error("stored token cannot be read", provider=credential.provider, reason=str(error))
            continue
        if credential.ciphertext != ciphertext:
            credential.save(update_fields=["ciphertext"])
            logger.info("stored token encrypted with the first key", provider=credential.provider)
    forget_tokens()


def _take_in(provider: str, waiting: WaitingToken) -> None:
    with transaction.atomic():
        known = ProviderCredential.objects.select_for_update().filter(provider=provider).first()
        # Several machines may share the database, and another one's may be newer.
        if known is None or known.set_at < waiting.moment:
            ProviderCredential.objects.update_or_create(
                provider=provider,
                defaults={
                    "ciphertext": waiting.ciphertext.encode("ascii"),
                    "last_four": waiting.last_four[:4],
                    "set_at": waiting.moment,
                    "set_by": waiting.set_by[:150],
                },
            )
            audit.record(SYSTEM, "provider.token.adopt", provider, last_four=waiting.last_four, set_by=waiting.set_by)
    try:
        waiting_token.mark(settings.LIVE_STORE_DIR, provider)
    except OSError as error:
        # It is taken in again at the next start, which changes nothing.
        logger.warning("stored token not cleared away", provider=provider, error=error.strerror)


def _try(provider: str, token: str) -> tuple[str, bool]:
    """Ask the provider who we are with this token; a sentence on what came of it, and whether it was taken.

    Raises ``TokenRefused``.
    """
    label = registry.get_label(provider)
    try:
        account = registry.trial_provider(provider, token).account()
    except ProviderAuthError as error:
        raise TokenRefused(_("%(reason)s Nothing was changed.") % {"reason": error.message}) from None
    except ProviderError as error:
        return _("It could not be checked: %(reason)s") % {"reason": error.message}, False
    if not settings.IS_SANDBOX:
        note_success(provider)
    return _("%(label)s takes it: the account is %(account)s.") % {"label": label, "account": account.username}, True


def _require_storable(provider: str) -> None:
    _require_known(provider)
    if _given_token(provider):
        raise InvalidState(
            _("The token of %(label)s comes from the environment (REPLICATE_API_TOKEN). Change it there.")
            % {"label": registry.get_label(provider)}
        )
    if settings.IS_SANDBOX and not settings.EACH_STORE_HAS_ITS_DATABASE:
        raise InvalidState(
            _(
                "The database of this service (DATABASE_URL) holds the sandbox's jobs. For a real account start it "
                "with SIMPLETUNER_STORE=live and a database of its own, and set the token then."
            )
        )


def _require_known(provider: str) -> None:
    if provider not in registry.provider_names():
        known = ", ".join(registry.provider_names())
        raise UnknownProvider(f"There is no provider named {provider[:40]!r}; known: {known}.")


def _given_token(provider: str) -> str:
    """The token of the real account that the environment gives; empty if it gives none."""
    return "" if settings.IS_SANDBOX else str(settings.PROVIDERS.get(provider, {}).get("token") or "")
