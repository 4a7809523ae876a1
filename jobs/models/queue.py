"""Jobs that wait to be handed to a provider (SPEC B6)."""

from django.db import models
from django.db.models import Q, TextChoices
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.models.job import UnifiedJob

MAXIMUM_PRIORITY = 30


class QueueStatus(TextChoices):
    """The life of an entry; it is open until its job has ended."""

    PENDING = "pending", _("Waiting")
    DISPATCHING = "dispatching", _("Being handed over")
    RUNNING = "running", _("Running")
    COMPLETED = "completed", _("Completed")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


OPEN = frozenset({QueueStatus.PENDING, QueueStatus.DISPATCHING, QueueStatus.RUNNING})
# What takes a place within the limits.
SLOT_HOLDERS = frozenset({QueueStatus.DISPATCHING, QueueStatus.RUNNING})
DEFAULT_MAX_ATTEMPTS = 3


class QueueEntry(models.Model):
    """The place of one job in the queue. Higher priority goes first, then the older one."""

    job = models.OneToOneField(UnifiedJob, models.CASCADE, related_name="queue_entry", verbose_name=_("job"))
    status = models.CharField(_("status"), max_length=16, choices=QueueStatus.choices, default=QueueStatus.PENDING)
    priority = models.PositiveSmallIntegerField(_("priority"), default=10)
    priority_override = models.PositiveSmallIntegerField(_("priority set by hand"), null=True, blank=True)
    queued_at = models.DateTimeField(_("queued"), default=timezone.now)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    max_attempts = models.PositiveSmallIntegerField(
        _("attempts at most"), default=DEFAULT_MAX_ATTEMPTS, db_default=DEFAULT_MAX_ATTEMPTS
    )
    reason = models.TextField(_("why it waits or failed"), blank=True)
    # When it may be tried again, after an attempt that failed.
    next_attempt_at = models.DateTimeField(_("next attempt"), null=True, blank=True)
    # The intent: who takes an entry writes this down first, and renews it while at work.
    claimed_at = models.DateTimeField(_("taken"), null=True, blank=True)
    # From here on the provider may have been asked: nobody asks again before having looked for the job there.
    sent_at = models.DateTimeField(_("sent"), null=True, blank=True)
    # How often it was looked for at the provider since then.
    looks = models.PositiveSmallIntegerField(_("looked for"), default=0, db_default=0)

    class Meta:
        verbose_name = _("queue entry")
        verbose_name_plural = _("queue entries")
        ordering = ("-priority", "queued_at", "pk")
        constraints = (
            models.CheckConstraint(name="queue_status_is_known", condition=Q(status__in=QueueStatus.values)),
            models.CheckConstraint(name="queue_priority_in_range", condition=Q(priority__lte=MAXIMUM_PRIORITY)),
            models.CheckConstraint(
                name="queue_override_in_range",
                condition=Q(priority_override__isnull=True) | Q(priority_override__lte=MAXIMUM_PRIORITY),
            ),
        )
        indexes = (models.Index(name="queue_next", fields=("status", "-priority", "queued_at")),)

    def __str__(self) -> str:
        return f"{self.job}: {self.status}"


class QueueLimits(models.Model):
    """How much may run at once. One row, which is also the lock that everybody takes who hands out places."""

    KEY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=KEY, editable=False)
    max_concurrent = models.PositiveIntegerField(_("jobs at once"), default=5)
    user_max_concurrent = models.PositiveIntegerField(_("jobs of one person at once"), default=2)
    team_max_concurrent = models.PositiveIntegerField(_("jobs of one team at once"), default=10)
    enable_fair_share = models.BooleanField(_("teams have limits"), default=False)
    # A waiting job rises by one step of priority in so many minutes, up to the highest.
    ageing_minutes = models.PositiveIntegerField(_("minutes to rise by one"), default=6)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("limits of the queue")
        verbose_name_plural = _("limits of the queue")
        constraints = (
            models.CheckConstraint(name="queue_limits_are_one_row", condition=Q(id=1)),
            models.CheckConstraint(
                name="queue_limits_are_positive",
                condition=Q(max_concurrent__gte=1, user_max_concurrent__gte=1, team_max_concurrent__gte=1)
                & Q(ageing_minutes__gte=1),
            ),
        )

    def __str__(self) -> str:
        return f"{self.max_concurrent} / {self.user_max_concurrent}"
