from typing import Any

import pytest
from pytest_django import Settings

from simpletuner_cloud.celery import app
from simpletuner_cloud.enterprise import EnterpriseConfig
from simpletuner_cloud.schedule import beat_schedule, configured_schedule, housekeeping_schedule

POLL, QUEUE = "jobs.tasks.poll_active_jobs", "jobs.tasks.process_queue"
UPLOADS = "jobs.tasks.upload_archives"


def intervals(schedule: dict[str, dict[str, Any]]) -> dict[str, float]:
    return {entry["task"]: entry["schedule"] for entry in schedule.values()}


@pytest.mark.parametrize(
    ("poll", "queue", "expected"),
    [
        (True, True, {POLL: 30.0, QUEUE: 5.0, UPLOADS: 5.0}),
        (True, False, {POLL: 30.0}),
        (False, True, {QUEUE: 5.0, UPLOADS: 5.0}),
        (False, False, {}),
    ],
)
def test_only_what_is_on_is_scheduled(poll: bool, queue: bool, expected: dict[str, float]) -> None:
    schedule = beat_schedule(poll_enabled=poll, poll_seconds=30.0, queue_enabled=queue, queue_seconds=5.0)
    assert intervals(schedule) == expected


def test_message_lives_no_longer_than_its_interval() -> None:
    schedule = beat_schedule(poll_enabled=True, poll_seconds=60.0, queue_enabled=True, queue_seconds=7.0)
    lives = {entry["task"]: entry["options"]["expires"] for entry in schedule.values()}
    assert lives == {POLL: 60.0, QUEUE: 7.0, UPLOADS: 7.0}


@pytest.mark.parametrize(
    ("file", "environment", "expected"),
    [
        pytest.param(EnterpriseConfig(), None, {POLL: 30.0, QUEUE: 5.0}, id="nothing configured"),
        pytest.param(EnterpriseConfig(), 60.0, {POLL: 60.0, QUEUE: 5.0}, id="the environment's interval"),
        pytest.param(
            EnterpriseConfig(job_polling_interval=90.0), 60.0, {POLL: 60.0, QUEUE: 5.0}, id="it outweighs the file's"
        ),
        pytest.param(
            EnterpriseConfig(job_polling_interval=90.0, queue_processing_interval=2.0),
            None,
            {POLL: 90.0, QUEUE: 2.0},
            id="the file's intervals",
        ),
        pytest.param(
            EnterpriseConfig(job_polling_enabled=False), 60.0, {QUEUE: 5.0}, id="an explicit false schedules no poll"
        ),
        pytest.param(
            EnterpriseConfig(queue_processing_enabled=False), None, {POLL: 30.0}, id="nor a queue that is switched off"
        ),
        pytest.param(
            EnterpriseConfig(job_polling_enabled=False, queue_processing_enabled=False), None, {}, id="nothing at all"
        ),
        pytest.param(
            EnterpriseConfig(webhook_urls={"replicate": "https://hooks.example/"}),
            None,
            {POLL: 30.0, QUEUE: 5.0},
            id="a webhook leaves the tick in",
        ),
    ],
)
def test_schedule_follows_the_settings(
    settings: Settings, file: EnterpriseConfig, environment: float | None, expected: dict[str, float]
) -> None:
    settings.ENTERPRISE = file
    settings.JOB_POLL_INTERVAL = environment
    configured = intervals(configured_schedule())
    assert {task: configured[task] for task in (POLL, QUEUE) if task in configured} == expected
    assert intervals(housekeeping_schedule()).items() <= configured.items()


def test_scheduled_tasks_exist() -> None:
    app.loader.import_default_modules()
    schedule = beat_schedule(poll_enabled=True, poll_seconds=30, queue_enabled=True, queue_seconds=5)
    schedule |= housekeeping_schedule()
    assert intervals(schedule).keys() <= set(app.tasks)


def test_what_asks_a_provider_is_sent_once_for_each_on_a_queue_of_its_own(settings: Settings) -> None:
    settings.PROVIDER_QUEUES = {"one": "q-one", "two": "q-two"}
    schedule = housekeeping_schedule() | beat_schedule(
        poll_enabled=True, poll_seconds=30, queue_enabled=True, queue_seconds=5
    )
    sent = {(entry["task"], entry["options"].get("queue"), entry.get("args", ())) for entry in schedule.values()}
    asking = {f"jobs.tasks.{task}" for task in ("poll_active_jobs", "apply_webhooks", "capture_logs", "walk_history")}
    for_one = {(task, queue, args) for task, queue, args in sent if queue or args or task in asking}
    assert for_one == {(task, f"q-{name}", (name,)) for task in asking for name in ("one", "two")}


def test_worker_takes_from_all_queues_unless_it_is_told_which(settings: Settings) -> None:
    everything = {"simpletuner-sandbox", "simpletuner-sandbox-replicate"}
    assert set(app.amqp.queues.consume_from) == everything
    assert {queue.routing_key for queue in app.amqp.queues.values()} == everything
    some = app.amqp.Queues(settings.CELERY_TASK_QUEUES)
    some.select(["simpletuner-sandbox"])
    assert set(some.consume_from) == {"simpletuner-sandbox"}
