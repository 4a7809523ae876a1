"""Every change of every status: the audit trail of a job, and the log that events are read from."""

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.lifecycle import JobStatus, Source
from jobs.models.job import UnifiedJob


class StatusChange(models.Model):
    """One change of one job's status (SPEC B2.5). Its primary key is the id of the event that tells of it.

    ``previous`` is null for a job that was just discovered.
    """

    job = models.ForeignKey(UnifiedJob, models.CASCADE, related_name="history", verbose_name=_("job"))
    previous = models.CharField(_("from"), max_length=16, choices=JobStatus.choices, null=True, blank=True)
    status = models.CharField(_("to"), max_length=16, choices=JobStatus.choices)
    source = models.CharField(_("noticed by"), max_length=16, choices=Source.choices)
    provider_time = models.DateTimeField(_("provider's time"), null=True, blank=True)
    recorded_at = models.DateTimeField(_("our time"), default=timezone.now)

    class Meta:
        verbose_name = _("status change")
        verbose_name_plural = _("status changes")
        ordering = ("-pk",)
        constraints = (
            models.CheckConstraint(name="change_status_is_known", condition=Q(status__in=JobStatus.values)),
            models.CheckConstraint(
                name="change_previous_is_known",
                condition=Q(previous__isnull=True) | Q(previous__in=JobStatus.values),
            ),
        )

    def __str__(self) -> str:
        return f"{self.previous or '–'} → {self.status}"
