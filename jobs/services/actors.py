"""Accounts as actors: what somebody who is signed in may do (jobs.access)."""

from collections.abc import Collection

import structlog
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser, Group, Permission
from django.db import InterfaceError, OperationalError
from django.db.models import Q

from jobs.access import DEFAULT_PRIORITY, EVERYTHING, MANAGE_ACCOUNTS, ROLE_PRIORITIES, ROLES, Actor

logger = structlog.get_logger(__name__)

OWNER = "owner"
# Applications whose tables the administration shows.
ADMINISTERED = ("jobs", "auth")
_owner_id: int | None = None


def owner_account() -> AbstractUser:
    """The owner's account in single-user mode, made at first use. It has no password: nobody can log into it."""
    users = get_user_model().objects
    user, created = users.get_or_create(username=OWNER, defaults={"is_staff": True, "is_superuser": True})
    if created:
        user.set_unusable_password()
        user.save(update_fields=["password"])
    return user


def owner_actor(*, address: str = "") -> Actor:
    """The owner as an actor, without a query but for the first time."""
    global _owner_id
    if _owner_id is None:
        try:
            _owner_id = owner_account().pk
        except (OperationalError, InterfaceError) as error:
            # What needs no database shall still be told to the one person who could ask.
            logger.warning("owner's account not looked up: the database does not answer", error=str(error))
    return Actor(
        user_id=_owner_id,
        name=OWNER,
        permissions=EVERYTHING,
        via="owner",
        address=address,
        priority=max(ROLE_PRIORITIES.values()),
    )


def forget_owner(**_: object) -> None:
    """For when accounts were deleted: the next request of the owner looks for the account again."""
    global _owner_id
    _owner_id = None


def actor_for(user: AbstractUser, *, via: str, address: str = "") -> Actor:
    """What an account may do, by its groups and its own permissions; an inactive one nothing."""
    if not user.is_active:
        permissions: frozenset[str] = frozenset()
    elif user.is_superuser:
        permissions = EVERYTHING
    else:
        permissions = EVERYTHING & user.get_all_permissions()
    return Actor(
        user_id=user.pk,
        name=user.get_username(),
        permissions=permissions,
        via=via,
        address=address,
        priority=_priority(user),
    )


def _priority(user: AbstractUser) -> int:
    if user.is_superuser:
        return max(ROLE_PRIORITIES.values())
    roles = user.groups.values_list("name", flat=True)
    return max((ROLE_PRIORITIES[role] for role in roles if role in ROLE_PRIORITIES), default=DEFAULT_PRIORITY)


def usernames(user_ids: Collection[int]) -> dict[int, str]:
    """The names of accounts. A join would have the database put a whole list in order before it takes fifty of it."""
    if not user_ids:
        return {}
    return dict(get_user_model().objects.filter(pk__in=user_ids).values_list("pk", "username"))


def ensure_roles(**_: object) -> None:
    """Make the groups of the roles that do not exist yet. Whoever changes what a group may do keeps that."""
    for role, permissions in ROLES.items():
        group, created = Group.objects.get_or_create(name=role)
        if created:
            codenames = [permission.partition(".")[2] for permission in permissions]
            of_role = Q(content_type__app_label="jobs", codename__in=codenames)
            if MANAGE_ACCOUNTS in permissions:
                # What the administration asks for: whoever manages accounts has all of it.
                of_role |= Q(content_type__app_label__in=ADMINISTERED)
            group.permissions.set(Permission.objects.filter(of_role))
