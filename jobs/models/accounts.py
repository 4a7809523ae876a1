"""Teams, API keys, and the record of who did what."""

from typing import Any, NoReturn

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Team(models.Model):
    """People whose jobs share a limit when fair share is on."""

    name = models.CharField(_("name"), max_length=100, unique=True)

    class Meta:
        verbose_name = _("team")
        verbose_name_plural = _("teams")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """The one team that somebody belongs to."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="membership", verbose_name=_("user")
    )
    team = models.ForeignKey(Team, models.CASCADE, related_name="memberships", verbose_name=_("team"))

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")

    def __str__(self) -> str:
        return f"{self.user}: {self.team}"


class ApiKey(models.Model):
    """A program's key. The key itself is shown once; here are its beginning and its SHA-256.

    ``scopes``: the permissions (``jobs.access``) that it has of its user's; empty: all that the user has.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_keys", verbose_name=_("user"))
    name = models.CharField(_("name"), max_length=100)
    prefix = models.CharField(_("begins with"), max_length=16, unique=True)
    digest = models.CharField(_("SHA-256"), max_length=64, unique=True, editable=False)
    scopes = models.JSONField(_("scopes"), default=list, blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"{self.prefix}… ({self.name})"


class AuditOutcome(models.TextChoices):
    """What came of it."""

    DONE = "done", _("Done")
    REFUSED = "refused", _("Refused")
    FAILED = "failed", _("Failed")


class AuditEntry(models.Model):
    """Who did what, and when. Rows are added, and never changed or deleted by anybody who uses the service."""

    at = models.DateTimeField(_("at"), default=timezone.now, db_index=True)
    # The name outlives the account.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, related_name="+", null=True, blank=True, verbose_name=_("account")
    )
    actor = models.CharField(_("who"), max_length=150)
    via = models.CharField(_("by"), max_length=40)
    address = models.CharField(_("from"), max_length=64, blank=True)
    action = models.CharField(_("what"), max_length=64)
    target = models.CharField(_("of what"), max_length=255, blank=True)
    outcome = models.CharField(_("outcome"), max_length=8, choices=AuditOutcome.choices, default=AuditOutcome.DONE)
    details = models.JSONField(_("details"), default=dict, blank=True)

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit log")
        ordering = ("-pk",)
        constraints = (
            models.CheckConstraint(name="audit_outcome_is_known", condition=Q(outcome__in=AuditOutcome.values)),
        )
        indexes = (
            models.Index(name="audit_action", fields=("action", "-id")),
            models.Index(name="audit_target", fields=("target", "-id")),
        )

    def __str__(self) -> str:
        return f"{self.actor}: {self.action} {self.target}"

    def save(self, *args: Any, **options: Any) -> None:
        """Add the row. Raises ``TypeError`` for one that is there already."""
        if self.pk is not None:
            self._refuse()
        super().save(*args, **options)

    def delete(self, *args: Any, **options: Any) -> NoReturn:  # noqa: ARG002
        """Raises ``TypeError``."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise TypeError("The audit log only grows.")
