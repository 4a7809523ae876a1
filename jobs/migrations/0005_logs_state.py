"""Where the logs of jobs are that ended before this was written down; each batch in a transaction of its own."""

from collections import defaultdict

from django.db import migrations, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps
from django.utils import timezone

BATCH_ROWS = 1000
TERMINAL = ("completed", "failed", "cancelled")


def tell_logs_states(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Set the state of every ended job; a log that its provider may still have is asked for in the next days."""
    model = apps.get_model("jobs", "UnifiedJob")
    ended = model.objects.filter(status__in=TERMINAL)
    last = 0
    while True:
        with transaction.atomic():
            pks = list(ended.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH_ROWS])
            if not pks:
                return
            _tell(apps, pks)
        last = pks[-1]


def _tell(apps: StateApps, pks: list[int]) -> None:
    jobs = apps.get_model("jobs", "UnifiedJob").objects.filter(pk__in=pks)
    logs = apps.get_model("jobs", "JobLog").objects.filter(job__in=pks)
    kept = {job: (length, is_final) for job, length, is_final in logs.values_list("job", "characters", "is_final")}
    removed = set(jobs.filter(metadata__data_removed=True).values_list("pk", flat=True))
    found: dict[str, list[int]] = defaultdict(list)
    for pk, status, started_at, run_seconds, external_id in jobs.values_list(
        "pk", "status", "started_at", "run_seconds", "external_id"
    ):
        length, is_final = kept.get(pk, (0, False))
        has_run = started_at is not None or status == "completed" or bool(run_seconds)
        if pk in removed and has_run and not (is_final and length):
            found["partial" if length else "lost"].append(pk)
        elif is_final or not external_id or (not has_run and not length and (status == "cancelled" or pk in removed)):
            found["saved"].append(pk)
        else:
            found["live"].append(pk)
    for state, some in found.items():
        jobs.filter(pk__in=some).update(
            logs_state=state, next_log_capture_at=timezone.now() if state == "live" else None
        )


class Migration(migrations.Migration):
    # A live database is locked for one batch at a time.
    atomic = False
    dependencies = (("jobs", "0004_log_archive"),)
    operations = (migrations.RunPython(tell_logs_states, migrations.RunPython.noop),)
