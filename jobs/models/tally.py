"""How many jobs there are, kept by the database itself so that nobody has to count them."""

from django.db import models
from django.utils.translation import gettext_lazy as _

NOBODY = 0


class JobTally(models.Model):
    """Part of a number of jobs: all rows of one kind together are how many there are of it.

    Triggers add a row for what each statement adds and takes away (``jobs.services.job_counts``), so that writers never
    wait for each other; now and then the rows of one kind are made one. ``owner_key``: the owner's key, 0 for nobody.
    """

    provider = models.CharField(_("provider"), max_length=32)
    status = models.CharField(_("status"), max_length=16)
    job_type = models.CharField(_("type"), max_length=16)
    owner_key = models.BigIntegerField(_("owner"))
    jobs = models.BigIntegerField(_("jobs"))

    class Meta:
        verbose_name = _("number of jobs")
        verbose_name_plural = _("numbers of jobs")

    def __str__(self) -> str:
        return f"{self.status}: {self.jobs:+d}"
