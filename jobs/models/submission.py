"""What people submit: stored configurations, dataset archives, and what each job was submitted with."""

import uuid
from pathlib import Path

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.models.job import UnifiedJob

CONFIG_NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._ -]{0,127}"


def new_mark() -> str:
    """What tells a job to be ours at its provider; nobody can guess it."""
    return f"stc-{uuid.uuid4().hex}"


class TrainingConfig(models.Model):
    """A training configuration that is kept here, to be submitted by its name."""

    name = models.CharField(
        _("name"), max_length=128, unique=True, validators=[RegexValidator(rf"^{CONFIG_NAME_PATTERN}\Z")]
    )
    description = models.TextField(_("description"), blank=True)
    config = models.JSONField(_("configuration"), default=dict)
    dataloader_config = models.JSONField(_("datasets"), default=list, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        related_name="training_configs",
        null=True,
        blank=True,
        verbose_name=_("owner"),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("training configuration")
        verbose_name_plural = _("training configurations")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class DatasetArchive(models.Model):
    """A dataset that was uploaded to us, on its way to the provider. Its file lies below the home directory."""

    archive_id = models.CharField(_("id"), max_length=32, unique=True, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, related_name="+", null=True, blank=True, verbose_name=_("owner")
    )
    name = models.CharField(_("file name"), max_length=255)
    size_bytes = models.PositiveBigIntegerField(_("bytes"))
    sha256 = models.CharField(_("SHA-256"), max_length=64)
    created_at = models.DateTimeField(_("uploaded"), default=timezone.now, db_index=True)
    # On its way to the provider, and where it lies there.
    sent_bytes = models.PositiveBigIntegerField(_("bytes sent on"), default=0)
    provider_url = models.TextField(_("at the provider"), blank=True)
    provider_expires_at = models.DateTimeField(_("there until"), null=True, blank=True)
    # When our own copy was deleted.
    deleted_at = models.DateTimeField(_("deleted here"), null=True, blank=True)

    class Meta:
        verbose_name = _("dataset archive")
        verbose_name_plural = _("dataset archives")
        ordering = ("-pk",)

    def __str__(self) -> str:
        return self.name

    @property
    def path(self) -> Path:
        """Where our own copy lies, if it is still there."""
        return Path(settings.STORE_DIR) / "archives" / self.archive_id


class JobSubmission(models.Model):
    """What a job was submitted with: enough to hand it to the provider, to look for it there, and to submit it anew."""

    job = models.OneToOneField(UnifiedJob, models.CASCADE, related_name="submission", verbose_name=_("job"))
    mark = models.CharField(_("mark"), max_length=64, unique=True, default=new_mark, editable=False)
    config = models.JSONField(_("configuration"), default=dict)
    dataloader_config = models.JSONField(_("datasets"), default=list, blank=True)
    hardware_profile = models.CharField(_("hardware profile"), max_length=32)
    webhook_url = models.TextField(_("webhook URL"), blank=True)
    tracker_run_name = models.CharField(_("run name"), max_length=255, blank=True)
    archive = models.ForeignKey(
        DatasetArchive, models.SET_NULL, related_name="submissions", null=True, blank=True, verbose_name=_("archive")
    )
    retry_of = models.ForeignKey(
        UnifiedJob, models.SET_NULL, related_name="retries", null=True, blank=True, verbose_name=_("again")
    )
    submitted_at = models.DateTimeField(_("submitted"), default=timezone.now)

    class Meta:
        verbose_name = _("submission")
        verbose_name_plural = _("submissions")

    def __str__(self) -> str:
        return f"{self.job}"


class IdempotencyKey(models.Model):
    """A submission's key, which gives the same job for 24 hours. ``scope``: whose key it is."""

    scope = models.CharField(_("whose"), max_length=150)
    key = models.CharField(_("key"), max_length=255)
    job = models.ForeignKey(UnifiedJob, models.CASCADE, related_name="idempotency_keys", verbose_name=_("job"))
    created_at = models.DateTimeField(_("created"), default=timezone.now, db_index=True)

    class Meta:
        verbose_name = _("idempotency key")
        verbose_name_plural = _("idempotency keys")
        constraints = (models.UniqueConstraint(name="one_job_per_key", fields=("scope", "key")),)

    def __str__(self) -> str:
        return self.key


class DeletedJob(models.Model):
    """A provider's job whose record was deleted here: it does not come back with the next sync."""

    provider = models.CharField(_("provider"), max_length=32)
    external_id = models.CharField(_("id at the provider"), max_length=128)
    job_id = models.CharField(_("job id"), max_length=128)
    deleted_at = models.DateTimeField(_("deleted"), default=timezone.now)
    deleted_by = models.CharField(_("by"), max_length=150, blank=True)

    class Meta:
        verbose_name = _("deleted job")
        verbose_name_plural = _("deleted jobs")
        ordering = ("-pk",)
        constraints = (models.UniqueConstraint(name="job_is_deleted_once", fields=("provider", "external_id")),)

    def __str__(self) -> str:
        return self.job_id
