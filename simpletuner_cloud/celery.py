"""The Celery application: ``celery -A simpletuner_cloud.celery worker`` and ``... beat``."""

import atexit
import os
from typing import TYPE_CHECKING, Any, Self

from celery import Celery, Task
from celery.app.amqp import AMQP
from celery.signals import (
    after_task_publish,
    beat_init,
    before_task_publish,
    setup_logging,
    task_postrun,
    task_prerun,
    worker_ready,
    worker_shutting_down,
)
from kombu import Connection

from simpletuner_cloud import correlation

if TYPE_CHECKING:
    from jobs.services.heartbeats import Pulse

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "simpletuner_cloud.settings")

RECONNECT_SECONDS = 1

_pulse: "Pulse | None" = None


class SteadyConnection(Connection):
    """Looks for a broker that went away every second: kombu's own pauses grow to half a minute."""

    def ensure_connection(self, *arguments: Any, **options: Any) -> Self:
        """Connect, however often it takes; the pauses that the caller does not name are ours."""
        pauses = {"interval_start": RECONNECT_SECONDS, "interval_step": 0, "interval_max": RECONNECT_SECONDS}
        found: Self = super().ensure_connection(*arguments, **(pauses | options))
        return found


class SteadyMessaging(AMQP):
    """Celery's messaging over such connections."""

    Connection = SteadyConnection


app = Celery("simpletuner_cloud", amqp=SteadyMessaging)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def keep_our_logging(**_: object) -> None:
    """A receiver of this signal stops Celery from setting up logging of its own: Django's settings already did."""


@app.on_after_configure.connect
def schedule_background_work(sender: Celery, **_: object) -> None:
    """Put poller and queue processor on the schedule that the settings ask for."""
    from simpletuner_cloud.schedule import configured_schedule

    sender.conf.beat_schedule = configured_schedule()


@beat_init.connect
def announce_background_work(**_: object) -> None:
    """Beat is what makes the background work run: switch it on, and say how it will run (SPEC A5.5)."""
    from asgiref.sync import async_to_sync

    from jobs.background_tasks import start_background_tasks

    async_to_sync(start_background_tasks)()


@worker_ready.connect
def show_that_the_worker_lives(**_: object) -> None:
    """Let health know of this worker from now on."""
    from jobs.services.heartbeats import Role

    _start_pulse(Role.WORKER)


@beat_init.connect
def show_that_beat_lives(**_: object) -> None:
    """Let health know of this beat from now on; it has no signal for its end."""
    from jobs.services.heartbeats import Role

    _start_pulse(Role.BEAT)
    atexit.register(stop_pulse)


@worker_shutting_down.connect
def stop_pulse(**_: object) -> None:
    """Tell that this process ends because it was asked to."""
    global _pulse
    pulse, _pulse = _pulse, None
    if pulse is not None:
        pulse.stop()


@before_task_publish.connect
def send_correlation_id(headers: dict[str, Any], **_: object) -> None:
    """What a request starts belongs to that request."""
    if (correlation_id := correlation.current()) is not None:
        headers[correlation.TASK_HEADER] = correlation_id


@after_task_publish.connect
def note_tick(**_: object) -> None:
    """In beat, a message sent is work done."""
    if _pulse is not None:
        _pulse.note_work()


@task_prerun.connect
def take_correlation_id(task: "Task[Any, Any]", **_: object) -> None:
    """A task of nobody in particular, such as a tick of beat, gets an id of its own each time it runs."""
    correlation.bind(correlation.accepted_or_new(task.request.get(correlation.TASK_HEADER)))


@task_postrun.connect
def drop_correlation_id(**_: object) -> None:
    """The thread goes on with something else."""
    correlation.unbind()
    if _pulse is not None:
        _pulse.note_work()


def _start_pulse(role: Any) -> None:
    global _pulse
    from jobs.services.heartbeats import Pulse

    _pulse = Pulse(role)
    _pulse.start()
