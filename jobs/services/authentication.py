"""Telling who somebody is by what they show: an API key or a session. Pages, API and event stream all ask here."""

import hmac
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module

import structlog
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.auth.models import AbstractUser
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from jobs.access import KEY_VIA, Actor
from jobs.models import ApiKey
from jobs.services.actors import actor_for
from jobs.services.api_keys import digest_of, prefix_of

logger = structlog.get_logger(__name__)

# What somebody is told who is not let in. SimpleTuner's command line looks for the first two words, and then says how
# to get a key.
NOTHING_SENT = "Authentication required: send an API key as X-API-Key."
BAD_KEY = "Authentication required: this API key is unknown, expired or revoked."
REALM = 'Bearer realm="SimpleTuner Cloud"'

USE_NOTED_EVERY = timedelta(minutes=1)
BEARER = "bearer "
WELL_KNOWN_DIGEST = digest_of("")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What somebody showed. A key goes before a session."""

    api_key: str = ""
    session_key: str = ""
    address: str = ""

    def __bool__(self) -> bool:
        return bool(self.api_key or self.session_key)

    def __repr__(self) -> str:
        return f"Credentials(address={self.address!r})"


@dataclass(frozen=True, slots=True)
class Identified:
    """An account and what it may do here and now."""

    user: AbstractUser
    actor: Actor


def sent_key(x_api_key: str, authorization: str) -> str:
    """The key among the two headers that may carry one; empty if neither does."""
    if x_api_key.strip():
        return x_api_key.strip()
    return authorization[len(BEARER) :].strip() if authorization.lower().startswith(BEARER) else ""


def identify(credentials: Credentials) -> Identified | None:
    """Whose credentials these are; ``None`` if they are nobody's (any more)."""
    if credentials.api_key:
        return identify_by_key(credentials.api_key, address=credentials.address)
    if credentials.session_key:
        return identify_by_session(credentials.session_key, address=credentials.address)
    return None


def identify_by_key(text: str, *, address: str = "") -> Identified | None:
    """The account of a key, with no more than the key's scopes; ``None`` for one that is unknown, expired, revoked."""
    prefix = prefix_of(text)
    key = _usable_keys().filter(prefix=prefix).first() if prefix else None
    # Compared also where there is nothing to compare with: an unknown beginning takes as long as a wrong end.
    is_right = hmac.compare_digest(key.digest if key else WELL_KNOWN_DIGEST, digest_of(text))
    if key is None or not is_right:
        return None
    _note_use(key)
    return Identified(key.user, actor_of_key(key, address=address))


def identify_by_session(session_key: str, *, address: str = "") -> Identified | None:
    """The account of a session; ``None`` for one that has ended, or that an older password began."""
    session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    pk, backend = session.get(SESSION_KEY), session.get(BACKEND_SESSION_KEY)
    if pk is None or backend not in settings.AUTHENTICATION_BACKENDS:
        return None
    user = get_user_model().objects.filter(pk=pk, is_active=True).first()
    if user is None or not constant_time_compare(session.get(HASH_SESSION_KEY, ""), user.get_session_auth_hash()):
        return None
    return Identified(user, actor_for(user, via="session", address=address))


def actor_of_key(key: ApiKey, *, address: str = "") -> Actor:
    """What the key may do: what its user may, and no more than its scopes."""
    actor = actor_for(key.user, via=f"{KEY_VIA}{key.prefix}", address=address)
    if not key.scopes:
        return actor
    return actor.limited_to(key.scopes)


def _usable_keys() -> QuerySet[ApiKey]:
    not_over = Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now())
    return ApiKey.objects.filter(not_over, revoked_at__isnull=True, user__is_active=True).select_related("user")


def _note_use(key: ApiKey) -> None:
    """Write when it was last used, but not with every request."""
    now = timezone.now()
    if key.last_used_at is None or now - key.last_used_at >= USE_NOTED_EVERY:
        stale = Q(last_used_at__isnull=True) | Q(last_used_at__lte=now - USE_NOTED_EVERY)
        ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=now)
