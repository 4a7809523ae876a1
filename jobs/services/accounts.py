"""People's accounts: made, given a role, switched off."""

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.db import transaction

from jobs.access import ROLES, Actor
from jobs.models import Membership, Team
from jobs.services import audit

ADMIN = "admin"
DEFAULT_ROLE = "researcher"


class AccountRefused(Exception):
    """Why an account is not made or changed."""


@transaction.atomic
def create_account(actor: Actor, name: str, *, password: str, role: str = DEFAULT_ROLE, team: str = "") -> User:
    """Make an account. A team that does not exist yet is made.

    Raises ``AccountRefused``, and ``django.core.exceptions.ValidationError`` for a name or password that is no good.
    """
    users = get_user_model().objects
    if users.filter(username__iexact=name).exists():
        raise AccountRefused(f"There is an account {name!r} already.")
    user = get_user_model()(username=name)
    user.set_password(password)
    user.full_clean(exclude=["password"])
    validate_password(password, user)
    user.save()
    set_role(user, role)
    if team:
        Membership.objects.create(user=user, team=Team.objects.get_or_create(name=team)[0])
    audit.record(actor, "account.create", name, role=role, team=team)
    return user


def set_role(user: User, role: str) -> None:
    """Give an account one role instead of those it had; other groups stay. Raises ``AccountRefused``."""
    if role not in ROLES:
        raise AccountRefused(f"There is no role {role!r}: it is one of {', '.join(ROLES)}.")
    user.groups.remove(*Group.objects.filter(name__in=ROLES).exclude(name=role))
    user.groups.add(Group.objects.get(name=role))
    follow_role(user)


def follow_role(user: User) -> None:
    """Let an account into the administration if its role is admin, and out if it no longer is."""
    is_staff = user.is_superuser or user.groups.filter(name=ADMIN).exists()
    if user.is_staff != is_staff:
        user.is_staff = is_staff
        user.save(update_fields=["is_staff"])


@transaction.atomic
def disable_account(actor: Actor, name: str) -> User:
    """Let nobody in by an account any more: no login, no session, no key. Raises ``AccountRefused``."""
    user = account_named(name)
    user.is_active = False
    user.save(update_fields=["is_active"])
    audit.record(actor, "account.disable", name)
    return user


def account_named(name: str) -> User:
    """The account of that name. Raises ``AccountRefused``."""
    user = get_user_model().objects.filter(username=name).first()
    if user is None:
        raise AccountRefused(f"There is no account {name!r}.")
    return user


def role_of(user: User) -> str:
    """The strongest of an account's roles; empty if it has none."""
    if user.is_superuser:
        return ADMIN
    names = set(user.groups.values_list("name", flat=True))
    return next((role for role in reversed(list(ROLES)) if role in names), "")


def has_accounts() -> bool:
    """Whether anybody at all could log in. The owner of single-user mode has no password."""
    candidates = get_user_model().objects.filter(is_active=True).only("password")
    return any(user.has_usable_password() for user in candidates.iterator())
