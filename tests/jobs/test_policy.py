import pytest

from jobs.policy import PollingPolicy, polling_policy


@pytest.mark.parametrize(
    ("file_enabled", "webhook", "enabled", "reason"),
    [
        pytest.param(None, False, True, "no webhook URL is configured", id="on by itself without webhooks"),
        pytest.param(None, True, False, "a webhook URL is configured", id="off by itself with webhooks"),
        pytest.param(True, False, True, "the enterprise file enables it", id="an explicit true"),
        pytest.param(True, True, True, "the enterprise file enables it", id="an explicit true whatever the webhooks"),
        pytest.param(False, False, False, "the enterprise file disables it", id="an explicit false"),
        pytest.param(False, True, False, "the enterprise file disables it", id="an explicit false with webhooks"),
    ],
)
def test_polling_is_on_or_off_for_a_reason(
    file_enabled: bool | None, webhook: bool, enabled: bool, reason: str
) -> None:
    policy = polling_policy(
        file_enabled=file_enabled, file_interval=None, environment_interval=None, webhook_configured=webhook
    )
    assert policy == PollingPolicy(
        enabled, 30.0, reason, reconcile_seconds=300.0 if webhook and file_enabled is None else None
    )


@pytest.mark.parametrize(
    ("file", "environment", "seconds"),
    [
        pytest.param(None, None, 30.0, id="the default"),
        pytest.param(90.0, None, 90.0, id="the file's"),
        pytest.param(None, 60.0, 60.0, id="the environment's"),
        pytest.param(90.0, 60.0, 60.0, id="the environment before the file"),
        pytest.param(5.0, 86_400.0, 86_400.0, id="the environment though it is longer"),
    ],
)
@pytest.mark.parametrize("file_enabled", [None, True, False])
@pytest.mark.parametrize("webhook", [True, False])
def test_interval_comes_from_the_nearest_source_whatever_decides_on_polling(
    file: float | None, environment: float | None, seconds: float, file_enabled: bool | None, webhook: bool
) -> None:
    policy = polling_policy(
        file_enabled=file_enabled, file_interval=file, environment_interval=environment, webhook_configured=webhook
    )
    assert policy.interval_seconds == seconds


@pytest.mark.parametrize(
    ("policy", "line"),
    [
        (PollingPolicy(True, 30.0, "a reason"), "job status polling is on, every 30 s: a reason"),
        (PollingPolicy(True, 7.5, "a reason"), "job status polling is on, every 7.5 s: a reason"),
        (PollingPolicy(False, 30.0, "a reason"), "job status polling is off: a reason"),
        (
            PollingPolicy(False, 30.0, "a reason", reconcile_seconds=120.0),
            "job status polling is off: a reason; jobs not heard of for 120 s are asked for all the same",
        ),
        (
            PollingPolicy(False, 30.0, "a reason", reconcile_seconds=0.0),
            "job status polling is off: a reason; jobs not heard of are never reconciled",
        ),
    ],
)
def test_start_up_line_says_whether_why_and_how_often(policy: PollingPolicy, line: str) -> None:
    assert policy.describe() == line


@pytest.mark.parametrize(
    ("file", "environment", "seconds"),
    [
        pytest.param(None, None, 300.0, id="the default"),
        pytest.param(60.0, None, 60.0, id="the file's"),
        pytest.param(60.0, 120.0, 120.0, id="the environment before the file"),
        pytest.param(60.0, 0.0, 0.0, id="the environment's never before the file"),
        pytest.param(0.0, None, 0.0, id="the file's never"),
    ],
)
def test_silent_jobs_are_reconciled_after_the_nearest_sources_seconds(
    file: float | None, environment: float | None, seconds: float
) -> None:
    policy = polling_policy(
        file_enabled=None,
        file_interval=None,
        environment_interval=None,
        webhook_configured=True,
        file_reconcile=file,
        environment_reconcile=environment,
    )
    assert policy.reconcile_seconds == seconds
    assert policy.reconciles is (seconds > 0)
