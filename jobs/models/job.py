"""The one row per job."""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Self, cast

from django.conf import settings
from django.db import connections, models, router
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.access import PERMISSIONS, VIEW_ALL, VIEW_OWN, Actor
from jobs.lifecycle import ACTIVE, TERMINAL, JobStatus, JobType, LogsState, Origin, next_status
from jobs.models.accounts import Team
from jobs.pricing import PriceBook
from jobs.progress import Progress
from providers.snapshots import JobRef, JobSnapshot

LAST_LOG_CHARACTERS = 80


def new_job_id() -> str:
    """An id for a job that no provider knows yet."""
    return uuid.uuid4().hex


class JobQuerySet(models.QuerySet["UnifiedJob"]):
    """Reads that have a name."""

    def active(self) -> Self:
        return self.filter(status__in=ACTIVE)

    def at_providers(self) -> Self:
        """Cloud jobs that a provider knows: those that can be asked about."""
        return self.filter(job_type=JobType.CLOUD, external_id__isnull=False)

    def not_heard_of_since(self, time: datetime | None) -> Self:
        """Those that no provider has said anything of since then; all if no time is given."""
        if time is None:
            return self.all()
        return self.filter(Q(last_synced_at__lt=time) | Q(last_synced_at__isnull=True, created_at__lt=time))

    def due_for_check(self, now: datetime) -> Self:
        """Those whose own trouble does not put them off until later."""
        return self.filter(Q(next_check_at__isnull=True) | Q(next_check_at__lte=now))

    def visible_to(self, actor: Actor) -> Self:
        """Those that exist for somebody at all; another's job is as good as not there (404)."""
        if actor.can(VIEW_ALL):
            return self.all()
        if actor.user_id is None or not actor.can(VIEW_OWN):
            return self.none()
        return self.filter(owner_id=actor.user_id)

    def unclaimed(self) -> Self:
        """Jobs that were started elsewhere, and that nobody here has claimed or waved aside."""
        return self.filter(origin=Origin.DISCOVERED, owner__isnull=True, ignored_at__isnull=True)

    def newest_first(self) -> Self:
        return self.order_by("-created_at", "-pk")

    def older_than(self, created_at: datetime, pk: int) -> Self:
        """Those that come after a job in the order of ``newest_first``.

        Written so that an index leads there: with OR on the outside both databases read everything before it.
        """
        return self.filter(Q(created_at__lt=created_at) | Q(pk__lt=pk), created_at__lte=created_at)

    def oldest_first(self) -> Self:
        return self.order_by("created_at", "pk")

    def newer_than(self, created_at: datetime, pk: int) -> Self:
        """Those that come before a job in the order of ``newest_first``, by an index too."""
        return self.filter(Q(created_at__gt=created_at) | Q(pk__gt=pk), created_at__gte=created_at)

    def with_id(self, job_id: str) -> Self:
        """The job of that id, ours or its provider's."""
        return self.filter(Q(job_id=job_id) | Q(external_id=job_id)).order_by(
            models.Case(models.When(job_id=job_id, then=0), default=1)
        )

    def write(self, jobs: Iterable["UnifiedJob"], fields: Iterable[str]) -> None:
        """Save some fields of many jobs in one statement.

        ``bulk_update`` builds a CASE per field and row: measured fifty times slower than this for a thousand rows.
        """
        names = sorted(set(fields))
        columns = [cast("models.Field[Any, Any]", self.model._meta.get_field(name)) for name in names]
        connection = connections[router.db_for_write(self.model)]
        rows = [
            [*(column.get_db_prep_save(getattr(job, column.attname), connection) for column in columns), job.pk]
            for job in jobs
        ]
        if not rows or not columns:
            return
        quote = cast("Callable[[str | None], str]", connection.ops.quote_name)
        assignments = ", ".join(f"{quote(column.column)} = %s" for column in columns)
        table, key = quote(self.model._meta.db_table), quote(self.model._meta.pk.column)
        with connection.cursor() as cursor:
            cursor.executemany(f"UPDATE {table} SET {assignments} WHERE {key} = %s", rows)


class UnifiedJob(models.Model):
    """One training run, local or in a cloud (SPEC B5). Times are UTC, money is US dollars."""

    job_id = models.CharField(_("job id"), max_length=128, unique=True, default=new_job_id, editable=False)
    job_type = models.CharField(_("type"), max_length=16, choices=JobType.choices, default=JobType.CLOUD)
    provider = models.CharField(_("provider"), max_length=32, blank=True)
    external_id = models.CharField(_("id at the provider"), max_length=128, null=True, blank=True)
    external_kind = models.CharField(_("kind at the provider"), max_length=32, blank=True)
    status = models.CharField(_("status"), max_length=16, choices=JobStatus.choices, default=JobStatus.PENDING)
    provider_status = models.CharField(_("the provider's own word"), max_length=64, blank=True)
    config_name = models.CharField(_("name"), max_length=255, null=True, blank=True)

    created_at = models.DateTimeField(_("created"), default=timezone.now)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    completed_at = models.DateTimeField(_("completed"), null=True, blank=True)

    hardware_type = models.CharField(_("hardware"), max_length=64, null=True, blank=True)
    run_seconds = models.FloatField(_("billed seconds"), null=True, blank=True)
    cost_usd = models.DecimalField(_("cost (USD)"), max_digits=14, decimal_places=6, null=True, blank=True)
    error_message = models.TextField(_("error"), null=True, blank=True)
    output_url = models.TextField(_("output"), null=True, blank=True)

    stage = models.CharField(_("stage"), max_length=32, null=True, blank=True)
    progress = models.FloatField(_("progress (%)"), null=True, blank=True)
    last_log = models.CharField(_("last log line"), max_length=LAST_LOG_CHARACTERS, null=True, blank=True)
    step = models.BigIntegerField(_("step"), null=True, blank=True)
    total_steps = models.BigIntegerField(_("steps in all"), null=True, blank=True)
    loss = models.FloatField(_("loss"), null=True, blank=True)
    eta_seconds = models.FloatField(_("seconds left"), null=True, blank=True)
    progress_at = models.DateTimeField(_("progress as of"), null=True, blank=True)

    last_synced_at = models.DateTimeField(_("last heard of"), null=True, blank=True)
    last_sync_error = models.TextField(_("last sync error"), null=True, blank=True)
    # Checks in a row that failed for this job alone, and when it is due again; null: with every round.
    failed_checks = models.PositiveIntegerField(_("failed checks in a row"), default=0, db_default=0)
    next_check_at = models.DateTimeField(_("next check"), null=True, blank=True)
    # Since when its provider has not known it any more. The status stays as it was last heard.
    lost_at = models.DateTimeField(_("lost at its provider since"), null=True, blank=True)
    logs_state = models.CharField(
        _("log"), max_length=8, choices=LogsState.choices, default=LogsState.LIVE, db_default=LogsState.LIVE.value
    )
    # When the log of an ended job is to be asked for again; null: nothing is left to be asked for.
    next_log_capture_at = models.DateTimeField(_("next look at the log"), null=True, blank=True)
    metadata = models.JSONField(_("metadata"), default=dict, blank=True)

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        related_name="jobs",
        null=True,
        blank=True,
        db_index=False,
        verbose_name=_("owner"),
    )
    team = models.ForeignKey(Team, models.SET_NULL, related_name="jobs", null=True, blank=True, verbose_name=_("team"))
    origin = models.CharField(
        _("origin"),
        max_length=12,
        choices=Origin.choices,
        default=Origin.DISCOVERED,
        db_default=Origin.DISCOVERED.value,
    )
    # Of a discovered job: since when it is nobody's business here.
    ignored_at = models.DateTimeField(_("ignored since"), null=True, blank=True)
    # A cancellation is asked for here; that it happened is for the provider to say.
    cancel_requested_at = models.DateTimeField(_("cancel asked for"), null=True, blank=True)
    cancel_requested_by = models.CharField(_("cancel asked for by"), max_length=150, blank=True, db_default="")
    # When the provider said yes, and what went wrong with the last attempt to ask it.
    cancel_accepted_at = models.DateTimeField(_("cancel accepted"), null=True, blank=True)
    cancel_error = models.TextField(_("cancel error"), blank=True, db_default="")
    budget_usd = models.DecimalField(_("budget (USD)"), max_digits=14, decimal_places=6, null=True, blank=True)
    # The highest mark of the budget that was told of, in percent: 0, 50, 80 or 100.
    budget_told_percent = models.PositiveSmallIntegerField(_("budget told (%)"), default=0, db_default=0)

    objects = JobQuerySet.as_manager()

    # The least that being known to a provider can mean.
    FIRST_REMOTE_STATUS: ClassVar[JobStatus] = JobStatus.QUEUED

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        ordering = ("-created_at", "-pk")
        permissions = [(name.partition(".")[2], words) for name, words in PERMISSIONS.items()]
        constraints = (
            models.CheckConstraint(name="job_origin_is_known", condition=Q(origin__in=Origin.values)),
            models.CheckConstraint(
                name="job_budget_is_positive", condition=Q(budget_usd__isnull=True) | Q(budget_usd__gt=0)
            ),
            models.CheckConstraint(name="job_status_is_known", condition=Q(status__in=JobStatus.values)),
            models.CheckConstraint(name="job_type_is_known", condition=Q(job_type__in=JobType.values)),
            models.CheckConstraint(name="job_logs_state_is_known", condition=Q(logs_state__in=LogsState.values)),
            models.CheckConstraint(
                name="job_progress_is_a_percentage",
                condition=Q(progress__isnull=True) | Q(progress__gte=0, progress__lte=100),
            ),
            models.CheckConstraint(name="job_external_id_is_not_empty", condition=~Q(external_id="")),
            models.UniqueConstraint(
                name="one_row_per_provider_job",
                fields=("provider", "external_id"),
                condition=Q(external_id__isnull=False),
            ),
        )
        indexes = (
            models.Index(name="job_newest", fields=("-created_at", "-id")),
            models.Index(name="job_status_newest", fields=("status", "-created_at", "-id")),
            models.Index(name="job_external_id", fields=("external_id",)),
            models.Index(name="job_owner_newest", fields=("owner", "-created_at", "-id")),
            models.Index(
                name="job_cancelling", fields=("cancel_requested_at",), condition=Q(cancel_requested_at__isnull=False)
            ),
            models.Index(
                name="job_log_due", fields=("next_log_capture_at",), condition=Q(next_log_capture_at__isnull=False)
            ),
        )

    def __str__(self) -> str:
        return self.config_name or self.job_id

    @property
    def is_active(self) -> bool:
        return self.status in ACTIVE

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL

    @property
    def is_cancelling(self) -> bool:
        """Whether its end was asked for, and its provider has not confirmed it yet."""
        return self.cancel_requested_at is not None and self.is_active

    def is_put_off(self, now: datetime) -> bool:
        """Whether its own trouble lets nobody ask for it before a later time, without being told to."""
        return self.next_check_at is not None and now < self.next_check_at

    @property
    def reference(self) -> JobRef:
        """How to find this job at its provider."""
        return JobRef(external_id=self.external_id or "", kind=self.external_kind or None, created_at=self.created_at)

    def duration_seconds(self, now: datetime) -> float | None:
        """Seconds from start to end, or until ``now``; never negative whatever the clocks say."""
        return duration_seconds(self.started_at, self.completed_at, self.status, now)

    def merge(self, snapshot: JobSnapshot, prices: PriceBook) -> frozenset[str]:
        """Take over what a snapshot adds, and return the names of the fields that changed.

        The order of snapshots does not matter: status only moves forward, times and money only become better known,
        late words fill gaps only, ``None`` never erases.
        """
        changed = self._assign(self._lifecycle_facts(snapshot))
        changed |= self._assign(self._described_facts(snapshot, prices))
        return changed | self._assign({"cost_usd": self._cost(snapshot, prices)})

    def move(self, status: JobStatus, *, error: str | None = None, at: datetime | None = None) -> frozenset[str]:
        """Take a step that is ours to decide, by the same rules as a provider's word; returns the changed fields.

        ``at``: the time of its end, if it has never been at a provider that could tell.
        """
        status = next_status(JobStatus(self.status), status)
        changed = self._assign({"status": status})
        if "status" in changed and status in TERMINAL:
            changed |= self._assign({"completed_at": self.completed_at or at, "error_message": error})
        return changed

    def note_progress(self, progress: Progress, at: datetime) -> frozenset[str]:
        """Take over what a log says of the job's progress; an older log than the last one says nothing.

        How far the job is stays known when the newest lines speak of something else, such as a long validation.
        """
        if self.progress_at is not None and at < self.progress_at:
            return frozenset()
        measured = {
            "progress": progress.progress,
            "step": progress.step,
            "total_steps": progress.total_steps,
            "loss": progress.loss,
        }
        said = {name: value for name, value in measured.items() if value is not None}
        now = {"stage": progress.stage, "last_log": progress.last_log, "eta_seconds": progress.eta_seconds}
        return self._assign({**said, **now, "progress_at": at})

    def note_log(self, state: LogsState, next_look_at: datetime | None) -> frozenset[str]:
        """Take over where the job's log is, and when it is to be asked for again."""
        return self._assign({"logs_state": state, "next_log_capture_at": next_look_at})

    def _lifecycle_facts(self, snapshot: JobSnapshot) -> dict[str, Any]:
        current = JobStatus(self.status)
        reported = JobStatus(snapshot.status.value) if snapshot.status else None
        status = next_status(current, reported) if reported else current
        facts: dict[str, Any] = {
            "status": status,
            "created_at": _earliest(self.created_at, snapshot.created_at),
            "started_at": _earliest(self.started_at, snapshot.started_at),
            "run_seconds": _largest(self.run_seconds, snapshot.run_seconds),
            "last_sync_error": None,
            # Whoever is spoken of is known, and can be asked about again.
            "failed_checks": 0,
            "next_check_at": None,
            "lost_at": None,
        }
        is_over, is_unknown_word = status in TERMINAL, reported is None
        if is_unknown_word and not is_over:
            facts["last_sync_error"] = (
                f"The provider reports a status that is not known here: {snapshot.raw_status!r}. "
                f"The status was kept as {status.value}."
            )
        if reported == status or (is_unknown_word and not is_over):
            facts["provider_status"] = snapshot.raw_status
        # Only the end itself knows of the end: what was said before it, and comes late, may speak of another one.
        if is_over and reported == status:
            facts["completed_at"] = _earliest(self.completed_at, snapshot.completed_at)
            if snapshot.error:
                facts["error_message"] = snapshot.error
        if facts["started_at"]:
            # Times of different answers differ by fractions of a second, which is more than a short run may last.
            facts["started_at"] = _earliest(facts["started_at"], facts.get("completed_at", self.completed_at))
        return facts

    def _described_facts(self, snapshot: JobSnapshot, prices: PriceBook) -> dict[str, Any]:
        known, said = self.metadata, snapshot.metadata
        # What was said in an earlier state fills gaps, but does not replace what was said later.
        is_late = snapshot.status is not None and self.status != snapshot.status.value
        metadata = {**said, **known} if is_late else {**known, **said}
        assigned = prices.hardware_of(self.provider, metadata.get("model"))
        output_urls = (self.output_url, snapshot.output_url) if is_late else (snapshot.output_url, self.output_url)
        return {
            "config_name": self.config_name or snapshot.name,
            "external_kind": snapshot.kind or self.external_kind,
            "hardware_type": self.hardware_type or snapshot.hardware or assigned,
            "output_url": output_urls[0] or output_urls[1],
            "metadata": metadata,
        }

    def _cost(self, snapshot: JobSnapshot, prices: PriceBook) -> Decimal | None:
        """From the provider, else run time at the price of the job's own hardware (SPEC B3)."""
        if snapshot.cost_usd is not None:
            return snapshot.cost_usd
        seconds = self.run_seconds if self.is_terminal else None
        if seconds is None:
            until = self.completed_at if self.is_terminal else snapshot.as_of
            seconds = (until - self.started_at).total_seconds() if until and self.started_at else None
        cost = prices.cost(
            provider=self.provider, hardware=self.hardware_type, started_at=self.started_at, run_seconds=seconds
        )
        if cost is None:
            return self.cost_usd
        # While it runs the cost only grows: a late answer of a slower clock does not take money back.
        return cost if self.is_terminal else max(cost, self.cost_usd or Decimal(0))

    def _assign(self, facts: Mapping[str, Any]) -> frozenset[str]:
        changed = frozenset(name for name, value in facts.items() if getattr(self, name) != value)
        for name in changed:
            setattr(self, name, facts[name])
        return changed


def duration_seconds(
    started_at: datetime | None, completed_at: datetime | None, status: str, now: datetime
) -> float | None:
    """Run time so far; ``None`` if the job never started or its end is not known."""
    until = now if status in ACTIVE else completed_at
    if started_at is None or until is None:
        return None
    return max((until - started_at).total_seconds(), 0.0)


def _earliest(known: datetime | None, reported: datetime | None) -> datetime | None:
    """Replicate repeats a job's times with small differences: the earliest is kept, whatever the order."""
    return min((time for time in (known, reported) if time), default=None)


def _largest(known: float | None, reported: float | None) -> float | None:
    return max((seconds for seconds in (known, reported) if seconds is not None), default=None)


__all__: Sequence[str] = ("JobQuerySet", "UnifiedJob", "duration_seconds", "new_job_id")
