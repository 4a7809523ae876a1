"""The stored tokens as they are used: every process knows of a change within two seconds, without a restart."""

import threading
import time
from dataclasses import dataclass, replace

import structlog
from django.db import InterfaceError, OperationalError

from jobs.known_secrets import remember
from jobs.models import ProviderCredential
from jobs.token_cipher import TokenUnreadable, decrypt
from providers import registry
from providers.errors import ProviderNotConfigured

logger = structlog.get_logger(__name__)

LOOK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class _Held:
    """What this process knows of one provider's stored token. ``problem``: it is there, but cannot be used."""

    ciphertext: bytes
    token: str | None
    problem: str
    looked_at: float


_held: dict[str, _Held] = {}
_guard = threading.Lock()
_changes = 0


def stored_token(provider: str) -> str | None:
    """The token that is stored for a provider. Raises ``ProviderNotConfigured`` for one that cannot be read.

    Asks the database every two seconds at most. While it does not answer, what was known goes on.
    """
    held = _held.get(provider)
    if held is None or time.monotonic() - held.looked_at >= LOOK_SECONDS:
        held = _look(provider, held)
    if held.problem:
        raise ProviderNotConfigured(held.problem)
    return held.token


def forget_tokens() -> None:
    """The next use in this process asks the database."""
    global _changes
    with _guard:
        _changes += 1
        _held.clear()


def _look(provider: str, before: _Held | None) -> _Held:
    changes, now = _changes, time.monotonic()
    try:
        found = ProviderCredential.objects.filter(provider=provider).values_list("ciphertext", flat=True).first()
    except (OperationalError, InterfaceError):
        if before is None:
            raise
        held = replace(before, looked_at=now)
    else:
        ciphertext = bytes(found or b"")
        is_known = before is not None and before.ciphertext == ciphertext and not before.problem
        held = replace(before, looked_at=now) if before and is_known else _read(provider, ciphertext, before, now)
    with _guard:
        # Whoever changed it meanwhile must not find the old one here again.
        if changes == _changes:
            _held[provider] = held
    return held


def _read(provider: str, ciphertext: bytes, before: _Held | None, now: float) -> _Held:
    if not ciphertext:
        return _Held(ciphertext, None, "", now)
    try:
        token = decrypt(ciphertext)
    except TokenUnreadable as error:
        problem = (
            f"{registry.get_label(provider)} is not configured: its stored token cannot be read, as {error}. Start "
            "with the key that it was stored with (SIMPLETUNER_CREDENTIALS_KEY, or the file credentials_key in the "
            "home directory), or store the token again."
        )
        if before is None or before.problem != problem:
            logger.error("stored token cannot be read", provider=provider, reason=str(error))
        return _Held(ciphertext, None, problem, now)
    remember(token)
    return _Held(ciphertext, token, "", now)
