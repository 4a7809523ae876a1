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


class CostPeriod(models.TextChoices):
    """What a limit of cost is counted over; all begin at midnight UTC, weeks on Monday."""

    DAILY = "daily", _("Day")
    WEEKLY = "weekly", _("Week")
    MONTHLY = "monthly", _("Month")


class CostAction(models.TextChoices):
    """What reaching the limit does to a submission."""

    WARN = "warn", _("Warn")
    BLOCK = "block", _("Refuse")


class ProviderSettings(models.Model):
    """What is set for a provider while we run; it wins over the enterprise file.

    ``webhook_url``: ``None`` leaves it to the file, an empty one means none.
    """

    provider = models.CharField(_("provider"), max_length=32, unique=True)
    webhook_url = models.TextField(
        _("webhook URL"),
        null=True,
        blank=True,
        validators=[validate_webhook_url],
        help_text=_("https, or http on a loopback address; empty: none"),
    )
    cost_limit_enabled = models.BooleanField(_("limit of cost"), default=False, db_default=False)
    cost_limit_amount = models.DecimalField(_("limit (USD)"), max_digits=14, decimal_places=2, null=True, blank=True)
    cost_limit_period = models.CharField(
        _("per"),
        max_length=8,
        choices=CostPeriod.choices,
        default=CostPeriod.MONTHLY,
        db_default=CostPeriod.MONTHLY.value,
    )
    cost_limit_action = models.CharField(
        _("when reached"),
        max_length=8,
        choices=CostAction.choices,
        default=CostAction.WARN,
        db_default=CostAction.WARN.value,
    )

    class Meta:
        verbose_name = _("provider settings")
        verbose_name_plural = _("provider settings")
        constraints = (
            models.CheckConstraint(
                name="cost_limit_is_positive",
                condition=models.Q(cost_limit_amount__isnull=True) | models.Q(cost_limit_amount__gt=0),
            ),
        )

    def __str__(self) -> str:
        return self.provider


class ProviderCredential(models.Model):
    """A provider's token as it was given to us: encrypted with a key that is not in the database, and never shown."""

    provider = models.CharField(_("provider"), max_length=32, unique=True)
    ciphertext = models.BinaryField(_("encrypted token"), editable=False)
    last_four = models.CharField(_("ends in"), max_length=4)
    set_at = models.DateTimeField(_("set"), default=timezone.now)
    set_by = models.CharField(_("set by"), max_length=150, blank=True)

    class Meta:
        verbose_name = _("provider token")
        verbose_name_plural = _("provider tokens")

    def __str__(self) -> str:
        return f"{self.provider} ••••{self.last_four}"


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
