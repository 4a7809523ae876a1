"""The Celery application: ``celery -A simpletuner_cloud.celery worker`` and ``... beat``."""

import os

from celery import Celery
from celery.signals import beat_init, setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "simpletuner_cloud.settings")

app = Celery("simpletuner_cloud")
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
