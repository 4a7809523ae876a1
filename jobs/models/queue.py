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
    RUNNING = "running", _("Running")
    COMPLETED = "completed", _("Completed")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


OPEN = frozenset({QueueStatus.PENDING, QueueStatus.RUNNING})


class QueueEntry(models.Model):
    """The place of one job in the queue. Higher priority goes first, then the older one."""

    job = models.OneToOneField(UnifiedJob, models.CASCADE, related_name="queue_entry", verbose_name=_("job"))
    status = models.CharField(_("status"), max_length=16, choices=QueueStatus.choices, default=QueueStatus.PENDING)
    priority = models.PositiveSmallIntegerField(_("priority"), default=10)
    queued_at = models.DateTimeField(_("queued"), default=timezone.now)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    reason = models.TextField(_("why it waits or failed"), blank=True)

    class Meta:
        verbose_name = _("queue entry")
        verbose_name_plural = _("queue entries")
        ordering = ("-priority", "queued_at", "pk")
        constraints = (
            models.CheckConstraint(name="queue_status_is_known", condition=Q(status__in=QueueStatus.values)),
            models.CheckConstraint(name="queue_priority_in_range", condition=Q(priority__lte=MAXIMUM_PRIORITY)),
        )
        indexes = (models.Index(name="queue_next", fields=("status", "-priority", "queued_at")),)

    def __str__(self) -> str:
        return f"{self.job}: {self.status}"
