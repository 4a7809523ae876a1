"""What operators set, and what they want to look up."""

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.webhook_url import check_webhook_url


def validate_webhook_url(url: str) -> None:
    """Refuse what a provider must not be told to call."""
    try:
        check_webhook_url(url)
    except ValueError as error:
        raise ValidationError(_("The webhook URL %(reason)s.") % {"reason": error}) from error


class ProviderSettings(models.Model):
    """What is set for a provider while we run; it wins over the enterprise file."""

    provider = models.CharField(_("provider"), max_length=32, unique=True)
    webhook_url = models.TextField(
        _("webhook URL"),
        blank=True,
        validators=[validate_webhook_url],
        help_text=_("https, or http on a loopback address; empty: none"),
    )

    class Meta:
        verbose_name = _("provider settings")
        verbose_name_plural = _("provider settings")

    def __str__(self) -> str:
        return self.provider


class PollCycle(models.Model):
    """One cycle of the poller over one provider's active jobs."""

    provider = models.CharField(_("provider"), max_length=32)
    started_at = models.DateTimeField(_("started"), default=timezone.now, db_index=True)
    seconds = models.FloatField(_("seconds"), default=0)
    active_jobs = models.PositiveIntegerField(_("active jobs"), default=0)
    refreshed = models.PositiveIntegerField(_("refreshed"), default=0)
    changed = models.PositiveIntegerField(_("status changes"), default=0)
    failed = models.PositiveIntegerField(_("failed"), default=0)
    error = models.TextField(_("error"), blank=True)

    class Meta:
        verbose_name = _("poll cycle")
        verbose_name_plural = _("poll cycles")
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"{self.provider} {self.started_at:%Y-%m-%d %H:%M:%S}"


class StoreClaim(models.Model):
    """Which world this database belongs to: the sandbox's or the real one. They never mix (SPEC B1.3)."""

    mode = models.CharField(_("mode"), max_length=16)
    claimed_at = models.DateTimeField(_("claimed"), default=timezone.now)

    class Meta:
        verbose_name = _("store")
        verbose_name_plural = _("stores")

    def __str__(self) -> str:
        return self.mode
