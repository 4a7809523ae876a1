"""The inbox: every signed delivery of a provider, and what was made of it."""

from django.db import models
from django.db.models import Q, TextChoices
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.models.job import UnifiedJob


class WebhookVerdict(TextChoices):
    """What became of a delivery. It is settled unless ``received``."""

    RECEIVED = "received", _("Received, not applied yet")
    APPLIED = "applied", _("Applied")
    STALE = "stale", _("Nothing new: overtaken by what was known")
    UNKNOWN = "unknown", _("Its job is not in this account")
    UNREADABLE = "unreadable", _("Not understood")


class WebhookDelivery(models.Model):
    """One delivery whose signature was good, by the sender's id for it (``webhook-id``), which a repeat shares.

    ``content`` is the compressed body, dropped once it has been applied. ``next_try_at``: when an application that
    failed for a passing reason is tried again.
    """

    provider = models.CharField(_("provider"), max_length=32)
    webhook_id = models.CharField(_("id"), max_length=255)
    sent_at = models.DateTimeField(_("sent"))
    received_at = models.DateTimeField(_("received"), default=timezone.now, db_index=True)
    settled_at = models.DateTimeField(_("settled"), null=True, blank=True)
    verdict = models.CharField(
        _("verdict"), max_length=12, choices=WebhookVerdict.choices, default=WebhookVerdict.RECEIVED
    )
    repeats = models.PositiveIntegerField(_("repeats"), default=0)
    job = models.ForeignKey(
        UnifiedJob, models.SET_NULL, related_name="deliveries", null=True, blank=True, verbose_name=_("job")
    )
    external_id = models.CharField(_("id at the provider"), max_length=128, blank=True)
    event = models.CharField(_("event"), max_length=64, blank=True)
    body_sha256 = models.CharField(_("SHA-256 of the body"), max_length=64)
    body_bytes = models.PositiveIntegerField(_("bytes"), default=0)
    content = models.BinaryField(_("content"), default=b"", editable=False)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    next_try_at = models.DateTimeField(_("next try"), null=True, blank=True)
    error = models.TextField(_("error"), blank=True)

    class Meta:
        verbose_name = _("webhook delivery")
        verbose_name_plural = _("webhook deliveries")
        ordering = ("-pk",)
        constraints = (
            models.UniqueConstraint(name="one_row_per_delivery", fields=("provider", "webhook_id")),
            models.CheckConstraint(name="delivery_verdict_is_known", condition=Q(verdict__in=WebhookVerdict.values)),
        )
        indexes = (
            models.Index(
                name="delivery_unsettled", fields=("next_try_at",), condition=Q(verdict=WebhookVerdict.RECEIVED)
            ),
        )

    def __str__(self) -> str:
        return self.webhook_id
