"""Rebuilding a lost store: a walk through everything that a provider still lists."""

from django.db import models
from django.db.models import Q, TextChoices
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class WalkState(TextChoices):
    """A walk is open while it is ``running``; trouble makes it wait, not end."""

    RUNNING = "running", _("Running")
    COMPLETED = "completed", _("Completed")
    CANCELLED = "cancelled", _("Cancelled")


class HistoryWalk(models.Model):
    """One walk over every page of a provider's lists, oldest page last, that goes on where it was interrupted.

    ``cursors``: how far each list is read, by the list's name (``services.history_walk.Position``); a list that was not
    begun has no key yet. ``error``: what a running walk waits for.
    """

    provider = models.CharField(_("provider"), max_length=32)
    state = models.CharField(_("state"), max_length=12, choices=WalkState.choices, default=WalkState.RUNNING)
    cursors = models.JSONField(_("next pages"), default=dict, blank=True)
    pages = models.PositiveIntegerField(_("pages read"), default=0)
    seen = models.PositiveIntegerField(_("jobs read"), default=0)
    found = models.PositiveIntegerField(_("new jobs"), default=0)
    updated = models.PositiveIntegerField(_("jobs updated"), default=0)
    unreadable = models.PositiveIntegerField(_("rows not understood"), default=0)
    started_at = models.DateTimeField(_("started"), default=timezone.now)
    updated_at = models.DateTimeField(_("last step"), default=timezone.now)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    failures = models.PositiveIntegerField(_("failures in a row"), default=0)
    next_try_at = models.DateTimeField(_("next step"), null=True, blank=True)
    error = models.TextField(_("error"), blank=True)

    class Meta:
        verbose_name = _("history walk")
        verbose_name_plural = _("history walks")
        ordering = ("-pk",)
        constraints = (
            models.UniqueConstraint(
                name="one_running_walk_per_provider",
                fields=("provider",),
                condition=Q(state=WalkState.RUNNING),
            ),
            models.CheckConstraint(name="walk_state_is_known", condition=Q(state__in=WalkState.values)),
        )

    def __str__(self) -> str:
        return f"{self.provider} {self.started_at:%Y-%m-%d %H:%M}"
