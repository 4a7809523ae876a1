"""The course of a training, read from its job's log."""

from dataclasses import dataclass

from jobs import coordination
from jobs.models import JobLog, UnifiedJob
from jobs.services.logs import read_log
from jobs.training_log.series import Point, Series, read_series

# How long the series of a log that has not grown need not be read from it again.
FRESH_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class JobSeries:
    """``is_final``: the log will not grow any more. ``problem``: why it may be behind, the provider's trouble."""

    job_id: str
    series: Series
    is_final: bool
    problem: str | None = None


def read_job_series(job: UnifiedJob) -> JobSeries:
    """Ask for the job's log, and read its series. Raises what ``read_log`` raises."""
    log = read_log(job.job_id)
    series = _series_of(job.pk, log.characters, log.text)
    return JobSeries(job.job_id, series, log.is_final, log.problem)


def stored_series(job: UnifiedJob) -> Series:
    """The series of what is stored of the job's log; nobody is asked for more."""
    log = JobLog.objects.filter(job=job).first()
    return _series_of(job.pk, log.characters, log.text) if log else Series()


def _series_of(job_pk: int, characters: int, text: str) -> Series:
    """A log only grows, so its length tells whether it is the one that was read before."""
    answer = coordination.single_flight(
        f"series:{job_pk}:{characters}", lambda: _as_json(read_series(text)), fresh_seconds=FRESH_SECONDS
    )
    unit, points, is_thinned = answer.value
    return Series(unit, tuple(Point(*values) for values in points), is_thinned)


def _as_json(series: Series) -> list[object]:
    points = [[point.x, point.loss, point.learning_rate, point.seconds_per_step] for point in series.points]
    return [series.x_unit, points, series.is_thinned]
