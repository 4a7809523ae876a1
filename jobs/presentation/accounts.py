"""An account as its page shows it: its role, what it may do, and its API keys."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext as _

from jobs import access
from jobs.models import ApiKey
from jobs.presentation.formats import Moment, moment

# Days that a new key may be good for; the first is offered.
LIFETIMES = (90, 30, 7, 365, 0)


@dataclass(frozen=True, slots=True)
class PermissionRow:
    """A permission in words, and whether the reader has it."""

    value: str
    label: str
    is_held: bool


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long a key may be good for."""

    days: int
    label: str


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One API key; never its text. ``scopes`` is empty for one that may do whatever its account may."""

    key_id: int
    name: str
    prefix: str
    scopes: list[str]
    created: Moment | None
    expires: Moment | None
    last_used: Moment | None
    is_expired: bool


def role_label(role: str) -> str:
    """A role's name for people."""
    labels = {"viewer": _("Viewer"), "researcher": _("Researcher"), "lead": _("Lead"), "admin": _("Administrator")}
    return labels.get(role, _("No role"))


def permission_label(permission: str) -> str:
    """A permission in words; one that this version does not know, by its name."""
    labels = {
        access.VIEW_OWN: _("See your own jobs"),
        access.VIEW_ALL: _("See everybody's jobs"),
        access.SUBMIT: _("Submit jobs and keep configurations"),
        access.CANCEL_OWN: _("Cancel and delete your own jobs"),
        access.CANCEL_ALL: _("Cancel, delete and claim everybody's jobs"),
        access.SYNC: _("Sync with the provider and import its history"),
        access.CHANGE_LIMITS: _("Change limits and priorities"),
        access.CONFIGURE_PROVIDERS: _("Change tokens and webhook URLs of providers"),
        access.MANAGE_ACCOUNTS: _("Manage accounts and read the audit log"),
    }
    return labels.get(permission, permission)


def permission_rows(actor: access.Actor) -> list[PermissionRow]:
    """All permissions there are, and which of them the actor has."""
    return [PermissionRow(name, permission_label(name), actor.can(name)) for name in access.PERMISSIONS]


def lifetimes() -> list[Lifetime]:
    """The choices for a new key."""
    return [Lifetime(days, _("%(days)d days") % {"days": days} if days else _("No end")) for days in LIFETIMES]


def key_rows(keys: Iterable[ApiKey], now: datetime | None = None) -> list[KeyRow]:
    """Keys in the order given."""
    now = now or timezone.now()
    return [
        KeyRow(
            key_id=key.pk,
            name=key.name,
            prefix=key.prefix,
            scopes=[permission_label(scope) for scope in key.scopes],
            created=moment(key.created_at, now),
            expires=moment(key.expires_at, now),
            last_used=moment(key.last_used_at, now),
            is_expired=key.expires_at is not None and key.expires_at <= now,
        )
        for key in keys
    ]
