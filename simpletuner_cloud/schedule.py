"""What beat sends, and how often."""

from typing import Any

from django.conf import settings

from jobs.policy import DEFAULT_QUEUE_SECONDS, polling_policy

# These look into the database and are done if nothing is due.
INBOX_SECONDS = 5.0
LOG_CAPTURE_SECONDS = 30.0
HISTORY_WALK_SECONDS = 5.0
COMPACTION_SECONDS = 15.0
CANCELLATION_SECONDS = 5.0
BUDGET_SECONDS = 5.0
RETENTION_SECONDS = 3600.0


def beat_schedule(
    *, poll_enabled: bool, poll_seconds: float, queue_enabled: bool, queue_seconds: float
) -> dict[str, dict[str, Any]]:
    """Entries for ``beat_schedule``, intervals in seconds.

    A message lives no longer than its interval, so that a worker that was away works off no backlog of ticks.
    """
    entries: dict[str, dict[str, Any]] = {}
    if poll_enabled:
        entries |= _for_each_provider("poll-active-jobs", "jobs.tasks.poll_active_jobs", poll_seconds)
    if queue_enabled:
        entries["process-queue"] = _entry("jobs.tasks.process_queue", queue_seconds)
        entries["upload-archives"] = _entry("jobs.tasks.upload_archives", queue_seconds)
    return entries


def housekeeping_schedule() -> dict[str, dict[str, Any]]:
    """Entries that no setting switches off, because what they look after is lost otherwise."""
    return {
        **_for_each_provider("apply-webhooks", "jobs.tasks.apply_webhooks", INBOX_SECONDS),
        **_for_each_provider("capture-logs", "jobs.tasks.capture_logs", LOG_CAPTURE_SECONDS),
        **_for_each_provider("walk-history", "jobs.tasks.walk_history", HISTORY_WALK_SECONDS),
        "delete-old-rows": _entry("jobs.tasks.delete_old_rows", RETENTION_SECONDS),
        "compact-counts": _entry("jobs.tasks.compact_counts", COMPACTION_SECONDS),
        "pursue-cancellations": _entry("jobs.tasks.pursue_cancellations", CANCELLATION_SECONDS),
        "watch-budgets": _entry("jobs.tasks.watch_budgets", BUDGET_SECONDS),
    }


def configured_schedule() -> dict[str, dict[str, Any]]:
    """Return the schedule that the settings ask for.

    A webhook URL may be set and removed while we run, so it only decides at each tick whether to poll; what the
    enterprise file switches off outright is not scheduled at all.
    """
    file = settings.ENTERPRISE
    policy = polling_policy(
        file_enabled=file.job_polling_enabled,
        file_interval=file.job_polling_interval,
        environment_interval=settings.JOB_POLL_INTERVAL,
        webhook_configured=False,
    )
    return housekeeping_schedule() | beat_schedule(
        poll_enabled=policy.enabled,
        poll_seconds=policy.interval_seconds,
        queue_enabled=file.queue_processing_enabled is not False,
        queue_seconds=file.queue_processing_interval or DEFAULT_QUEUE_SECONDS,
    )


def _for_each_provider(name: str, task: str, seconds: float) -> dict[str, dict[str, Any]]:
    """An entry for each provider, on a queue of its own: one that is slow keeps no other waiting."""
    entries = {}
    for provider, queue in settings.PROVIDER_QUEUES.items():
        entry = _entry(task, seconds)
        entries[f"{name}:{provider}"] = entry | {"args": (provider,), "options": entry["options"] | {"queue": queue}}
    return entries


def _entry(task: str, seconds: float) -> dict[str, Any]:
    return {"task": task, "schedule": seconds, "options": {"expires": seconds}}
