"""Programs' keys: made, shown once, and revoked."""

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from jobs.access import KEY_VIA, MANAGE_ACCOUNTS, PERMISSIONS, Actor
from jobs.models import ApiKey
from jobs.services import audit

BEGINNING = "stc_"
PREFIX_CHARACTERS = 8
SECRET_BYTES = 32
# A beginning that is taken is as good as never drawn; a table that answers so again and again is broken.
MOST_DRAWS = 5
LONGEST_DAYS = 3650
LONGEST_NAME = 100
LONGEST_KEY = 200
MOST_KEYS = 100


class KeyNotFound(Exception):
    """No key of that id is the asker's to see."""

    def __init__(self) -> None:
        super().__init__("There is no such API key.")


class KeyRefused(Exception):
    """Why a key is not made or not revoked."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made, with its text, which nothing else knows from here on."""

    key: ApiKey
    text: str


def create_key(actor: Actor, user: User, *, name: str, scopes: Collection[str] = (), days: int | None = None) -> NewKey:
    """Make a key of ``user``. ``scopes``: of the permissions of ``actor``; none: all that the user has.

    Raises ``KeyRefused``.
    """
    if actor.is_program:
        # Else a key that leaked for an hour would live on in those that it made.
        raise KeyRefused("A key cannot make keys: log in with your password to make one.")
    if unknown := sorted(set(scopes) - set(PERMISSIONS)):
        raise KeyRefused(f"There is no permission {unknown[0]!r}.")
    if beyond := sorted(set(scopes) - actor.permissions):
        raise KeyRefused(f"You do not have the permission {beyond[0]!r} yourself.")
    if _open_keys(user) >= MOST_KEYS:
        raise KeyRefused(f"There are {MOST_KEYS} keys of this account already: revoke some first.")
    now = timezone.now()
    for _ in range(MOST_DRAWS):
        prefix = BEGINNING + secrets.token_hex(PREFIX_CHARACTERS // 2)
        text = f"{prefix}_{secrets.token_urlsafe(SECRET_BYTES)}"
        try:
            with transaction.atomic():
                key = ApiKey.objects.create(
                    user=user,
                    name=name[:LONGEST_NAME],
                    prefix=prefix,
                    digest=digest_of(text),
                    scopes=sorted(set(scopes)),
                    created_at=now,
                    expires_at=now + timedelta(days=days) if days else None,
                )
                audit.record(
                    actor,
                    "key.create",
                    prefix,
                    account=user.get_username(),
                    name=key.name,
                    scopes=key.scopes,
                    days=days,
                )
        except IntegrityError:
            continue
        return NewKey(key, text)
    raise KeyRefused("No key could be made just now; try again.")


def keys_of(actor: Actor, *, everybody: bool = False) -> list[ApiKey]:
    """The keys that still open something: the actor's own, or everybody's for who manages accounts."""
    keys = ApiKey.objects.all() if everybody and actor.can(MANAGE_ACCOUNTS) else _own(actor)
    return list(keys.filter(revoked_at__isnull=True).select_related("user"))


def revoke_key(actor: Actor, key_id: int) -> ApiKey:
    """End a key at once and for good. Raises ``KeyNotFound``, also for another's; ``KeyRefused``."""
    keys = ApiKey.objects.all() if actor.can(MANAGE_ACCOUNTS) else _own(actor)
    with transaction.atomic():
        key = keys.filter(pk=key_id).select_for_update(of=("self",)).select_related("user").first()
        if key is None:
            raise KeyNotFound
        if actor.is_program and not actor.can(MANAGE_ACCOUNTS) and actor.via != f"{KEY_VIA}{key.prefix}":
            raise KeyRefused("A key can revoke itself only: log in with your password to revoke others.")
        if key.revoked_at is None:
            key.revoked_at = timezone.now()
            key.save(update_fields=["revoked_at"])
            audit.record(actor, "key.revoke", key.prefix, account=key.user.get_username(), name=key.name)
    return key


def digest_of(text: str) -> str:
    """What is kept of a key. Its text is random, so a plain SHA-256 gives nothing away."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def prefix_of(text: str) -> str:
    """The beginning by which a key is found; empty for what is no key of ours."""
    length = len(BEGINNING) + PREFIX_CHARACTERS
    is_shaped = text.startswith(BEGINNING) and text[length : length + 1] == "_" and len(text) <= LONGEST_KEY
    prefix = text[:length] if is_shaped else ""
    return prefix if prefix.isascii() and prefix.isprintable() else ""


def _own(actor: Actor) -> QuerySet[ApiKey]:
    return ApiKey.objects.none() if actor.user_id is None else ApiKey.objects.filter(user_id=actor.user_id)


def _open_keys(user: User) -> int:
    return ApiKey.objects.filter(user_id=user.pk, revoked_at__isnull=True).count()
