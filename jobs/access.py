"""Who may do what: the permissions, what each role has of them, and the person or program that acts. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

VIEW_OWN = "jobs.view_own_jobs"
VIEW_ALL = "jobs.view_all_jobs"
SUBMIT = "jobs.submit_jobs"
CANCEL_OWN = "jobs.cancel_own_jobs"
CANCEL_ALL = "jobs.cancel_all_jobs"
SYNC = "jobs.sync_jobs"
CHANGE_LIMITS = "jobs.change_limits"
CONFIGURE_PROVIDERS = "jobs.configure_providers"
MANAGE_ACCOUNTS = "jobs.manage_accounts"

# In words, for people who hand them out. Deleting a job's record is part of being allowed to cancel it.
PERMISSIONS: Mapping[str, str] = {
    VIEW_OWN: "May see jobs of their own",
    VIEW_ALL: "May see everybody's jobs, and those that nobody has claimed",
    SUBMIT: "May submit jobs and keep configurations",
    CANCEL_OWN: "May cancel and delete jobs of their own",
    CANCEL_ALL: "May cancel, delete, claim and ignore everybody's jobs",
    SYNC: "May ask the provider for all jobs, and import its history",
    CHANGE_LIMITS: "May change the limits of the queue, priorities and limits of cost",
    CONFIGURE_PROVIDERS: "May change tokens and webhook URLs of providers",
    MANAGE_ACCOUNTS: "May manage accounts, teams and everybody's API keys, and read the audit log",
}
EVERYTHING = frozenset(PERMISSIONS)
# Who may do so with everybody's jobs may do so with their own.
WIDER: Mapping[str, str] = {VIEW_OWN: VIEW_ALL, CANCEL_OWN: CANCEL_ALL}

# Each role may do what the one before it may, and more.
VIEWER = frozenset({VIEW_OWN})
RESEARCHER = VIEWER | {SUBMIT, CANCEL_OWN}
LEAD = RESEARCHER | {VIEW_ALL, CANCEL_ALL, SYNC, CHANGE_LIMITS}
ROLES: Mapping[str, frozenset[str]] = {"viewer": VIEWER, "researcher": RESEARCHER, "lead": LEAD, "admin": EVERYTHING}
# The queue's priority of what somebody of a role submits; the highest of several roles counts.
ROLE_PRIORITIES: Mapping[str, int] = {"viewer": 0, "researcher": 10, "lead": 20, "admin": 30}
DEFAULT_PRIORITY = 10
KEY_VIA = "key "


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and what they may do.

    ``user_id``: ``None`` for the service itself. ``via``: ``owner`` (single user), ``session``, ``key <prefix>`` or
    ``system``. ``address``: where the request came from; empty if there was none.
    """

    user_id: int | None
    name: str
    permissions: frozenset[str]
    via: str
    address: str = ""
    priority: int = DEFAULT_PRIORITY

    @property
    def is_program(self) -> bool:
        """Whether an API key stands for them, and not they themselves."""
        return self.via.startswith(KEY_VIA)

    def can(self, permission: str) -> bool:
        return permission in self.permissions or WIDER.get(permission) in self.permissions

    def limited_to(self, scopes: Iterable[str]) -> "Actor":
        """The same actor with no more than these permissions."""
        return replace(self, permissions=self.permissions & frozenset(scopes))

    def may_see(self, owner_id: int | None) -> bool:
        """Whether a job of that owner exists for this actor at all."""
        if self.can(VIEW_ALL):
            return True
        return self.can(VIEW_OWN) and owner_id is not None and owner_id == self.user_id

    def may_cancel(self, owner_id: int | None) -> bool:
        """Whether a job of that owner may be cancelled, deleted, or given a budget."""
        if self.can(CANCEL_ALL):
            return True
        return self.can(CANCEL_OWN) and owner_id is not None and owner_id == self.user_id


# Somebody who has not said who they are.
NOBODY = Actor(user_id=None, name="", permissions=frozenset(), via="nobody")
SYSTEM = Actor(user_id=None, name="system", permissions=EVERYTHING, via="system")
