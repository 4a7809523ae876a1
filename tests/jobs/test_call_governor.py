"""The budget and the breaker of an account, as all processes share them: jobs.services.call_governor."""

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
import structlog
from pytest_django import Settings

from jobs import circuit_breaker, coordination
from jobs.circuit_breaker import CALLS_WITHOUT_ANSWER, BreakerState
from jobs.services import call_governor, provider_accounts, sync
from jobs.services.call_books import Book, Budget, OwnBook, SharedBook
from jobs.services.call_governor import CallGovernor, breaker_state, calls_left, checking
from jobs.services.provider_calls import provider_state
from providers import registry
from providers.calls import CallReport
from providers.errors import (
    ProviderAuthError,
    ProviderError,
    ProviderRateLimited,
    ProviderUnavailable,
    RemoteJobNotFound,
    UnexpectedPayload,
)
from tests.sandbox_server import RunningSandbox

LISTS = ("GET", "/v1/trainings")
TOKEN = "test-token"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that would have to wait is refused at once, except where waiting is the matter."""
    monkeypatch.setattr(call_governor, "PATIENCE_SECONDS", 0.0)


@pytest.fixture(params=["redis", "memory"])
def place(request: pytest.FixtureRequest, settings: Settings) -> Iterator[str]:
    """The books in Redis, and those of a process that cannot reach it."""
    if request.param == "memory":
        settings.REDIS_URL = "redis://127.0.0.1:1/0"
        coordination.client.cache_clear()
        coordination.hasty_client.cache_clear()
    yield request.param
    if request.param == "memory":
        coordination.client.cache_clear()
        coordination.hasty_client.cache_clear()


def governor(token: str = TOKEN) -> CallGovernor:
    return CallGovernor("replicate", token)


def report(error: ProviderError | None = None, status: int | None = 200, **facts: Any) -> CallReport:
    return CallReport(method="GET", route="/v1/trainings", seconds=0.1, status=status, error=error, **facts)


def silence() -> CallReport:
    return report(ProviderUnavailable("Replicate has trouble of its own (HTTP 503)."), status=503)


def refusal() -> CallReport:
    return report(ProviderAuthError("Replicate refused the token: no."), status=401)


def is_admitted(account: CallGovernor, *call: str) -> bool:
    try:
        account.admit(*(call or LISTS))
    except ProviderError as error:
        return not error.without_call
    return True


def pass_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on every pause is over as soon as it begins."""
    for name in ("SHORTEST_PAUSE_SECONDS", "FIRST_PAUSE_SECONDS", "FIRST_REFUSED_PAUSE_SECONDS"):
        monkeypatch.setattr(circuit_breaker, name, 0.0)


def test_silent_provider_is_left_alone_by_everybody_and_says_since_when_and_until(place: str) -> None:
    for _ in range(CALLS_WITHOUT_ANSWER):
        account = governor()
        account.admit(*LISTS)
        account.report(silence())
    facts = breaker_state("replicate")
    assert facts.state is BreakerState.OPEN
    assert facts.since is not None
    assert facts.until is not None
    with pytest.raises(ProviderUnavailable) as caught:
        governor().admit("GET", "/v1/account")
    assert caught.value.without_call
    assert f"not answered since {facts.since:%H:%M:%S} UTC" in caught.value.message
    assert f"Next try: {facts.until:%H:%M:%S} UTC" in caught.value.message
    assert "HTTP 503" in caught.value.message


@pytest.mark.parametrize(
    "answer",
    [
        report(),
        report(RemoteJobNotFound("x"), status=404),
        report(UnexpectedPayload("x")),
        report(ProviderRateLimited("x", retry_after=0.0), status=429),
    ],
    ids=["good", "not found", "unreadable", "slow down"],
)
def test_every_answer_closes_it(place: str, monkeypatch: pytest.MonkeyPatch, answer: CallReport) -> None:
    pass_time(monkeypatch)
    for _ in range(CALLS_WITHOUT_ANSWER):
        governor().report(silence())
    assert is_admitted(governor())
    assert breaker_state("replicate").state is BreakerState.HALF_OPEN
    governor().report(answer)
    assert breaker_state("replicate").state is BreakerState.CLOSED


def test_call_that_broke_off_for_a_reason_of_ours_teaches_nothing(place: str) -> None:
    for _ in range(CALLS_WITHOUT_ANSWER):
        governor().report(silence())
    governor().report(report(status=None))
    assert breaker_state("replicate").state is BreakerState.OPEN


def test_of_fifty_that_ask_at_once_one_is_the_probe(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pass_time(monkeypatch)
    for _ in range(CALLS_WITHOUT_ANSWER):
        governor().report(silence())
    with ThreadPoolExecutor(16) as pool:
        admitted = list(pool.map(lambda _: is_admitted(governor()), range(50)))
    assert admitted.count(True) == 1


def test_others_wait_a_moment_for_the_probe_and_go_on_when_it_succeeds(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pass_time(monkeypatch)
    for _ in range(CALLS_WITHOUT_ANSWER):
        governor().report(silence())
    assert is_admitted(governor())
    monkeypatch.setattr(call_governor, "PATIENCE_SECONDS", 20.0)
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(is_admitted, governor())
        assert not second.done()
        governor().report(report())
        assert second.result(timeout=20)


def test_refused_token_is_asked_about_no_more_and_told_in_one_line(
    place: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        for _ in range(20):
            governor().report(refusal())
            assert not is_admitted(governor())
    lines = [record for record in caplog.records if "refused the token" in record.getMessage()]
    assert [line.levelno for line in lines] == [logging.ERROR]
    assert breaker_state("replicate").state is BreakerState.REFUSED
    assert breaker_state("replicate").reason == "Replicate refused the token: no."


def test_new_token_starts_afresh_and_the_old_one_stays_refused(place: str) -> None:
    governor("old").report(refusal())
    assert not is_admitted(governor("old"))
    assert is_admitted(governor("new"))


def test_no_token_is_ever_written_down() -> None:
    secret = "r8_very-secret-token"
    governor(secret).admit(*LISTS)
    for outcome in (refusal(), report(remaining=0, reset_seconds=60.0)):
        governor(secret).report(outcome)
    client = coordination.client()
    keys = list(client.scan_iter("*"))
    assert any("calls:replicate" in key for key in keys)
    stored = [client.get(key) if client.type(key) == "string" else client.hgetall(key) for key in keys]
    assert secret not in f"{keys} {stored}"


def test_check_by_a_person_goes_out_although_the_token_is_refused_and_closes_the_breaker(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(circuit_breaker, "CHECK_PAUSE_SECONDS", 0.0)
    governor().report(refusal())
    assert not is_admitted(governor())
    with checking():
        assert is_admitted(governor())
    assert not is_admitted(governor())
    governor().report(report())
    assert is_admitted(governor())


def test_slow_down_holds_for_every_call_of_everybody(place: str) -> None:
    governor().report(report(ProviderRateLimited("x", retry_after=120.0), status=429))
    with checking(), pytest.raises(ProviderRateLimited) as caught:
        governor().admit("GET", "/v1/account")
    assert 110 < (caught.value.retry_after or 0) <= 120
    until = breaker_state("replicate").resting_until
    assert until is not None
    assert f"Next try at {until:%H:%M:%S} UTC" in caught.value.message


def test_used_up_class_of_calls_is_held_back_and_no_other(place: str) -> None:
    governor().report(report(remaining=0, reset_seconds=30.0))
    with pytest.raises(ProviderRateLimited) as caught:
        governor().admit(*LISTS)
    assert 25 < (caught.value.retry_after or 0) <= 30
    assert is_admitted(governor(), "GET", "/v1/trainings/{id}")
    assert is_admitted(governor(), "POST", "/v1/trainings")


@pytest.mark.parametrize("facts", [{"remaining": 1, "reset_seconds": 30.0}, {"remaining": 0}, {"reset_seconds": 30.0}])
def test_calls_that_are_left_may_go_out(place: str, facts: dict[str, Any]) -> None:
    governor().report(report(**facts))
    assert is_admitted(governor())


def test_budget_is_shared_by_all_and_refuses_without_a_call(place: str, settings: Settings) -> None:
    settings.PROVIDER_CALLS_PER_MINUTE = 10
    assert [is_admitted(governor()) for _ in range(3)] == [True, True, False]
    with pytest.raises(ProviderRateLimited) as caught:
        governor().admit("POST", "/v1/predictions")
    assert 0 < (caught.value.retry_after or 0) <= 7.5


def test_twenty_calls_for_a_thousand_jobs_are_not_slowed(place: str) -> None:
    account = governor()
    assert all(is_admitted(account) for _ in range(20))


def test_call_waits_for_a_place_that_comes_soon(
    place: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PROVIDER_CALLS_PER_MINUTE = 60
    waits: list[float] = []
    monkeypatch.setattr(call_governor, "PATIENCE_SECONDS", 3.0)
    monkeypatch.setattr("jobs.services.call_governor.time.sleep", waits.append)
    while is_admitted(governor()):
        pass
    # 12 at once, then one each 1.25 s, for which two more can wait.
    assert len(waits) == 2
    assert 0.5 < waits[0] <= 1.25 < waits[1] <= 2.5


@pytest.mark.parametrize("per_minute", [1, 2, 7, 60, 2400])
def test_no_minute_holds_more_calls_than_are_allowed(per_minute: int) -> None:
    budget = Budget(per_minute=per_minute)
    assert budget.burst + 60 * budget.per_second <= per_minute + (per_minute == 1)


@pytest.mark.parametrize("book", [SharedBook("a"), OwnBook()], ids=["redis", "memory"])
def test_breaker_is_replaced_only_by_whoever_saw_the_last_one(book: Book) -> None:
    assert book.replace("", "one")
    assert not book.replace("", "two")
    assert book.look().breaker == "one"
    assert book.replace("one", "")
    assert book.look().breaker == ""


def test_redis_that_comes_back_is_used_again(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    url = settings.REDIS_URL
    monkeypatch.setattr(call_governor, "REDIS_PAUSE_SECONDS", 0.0)
    try:
        settings.REDIS_URL = "redis://127.0.0.1:1/0"
        coordination.hasty_client.cache_clear()
        governor().report(refusal())
        assert not is_admitted(governor())
    finally:
        settings.REDIS_URL = url
        coordination.hasty_client.cache_clear()
    assert is_admitted(governor())


def test_redis_that_is_away_is_not_asked_for_each_call(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def away(book: SharedBook, *_arguments: object, **_named: object) -> None:
        asked.append("take")
        raise redis.ConnectionError

    monkeypatch.setattr(SharedBook, "take", away)
    for _ in range(10):
        governor().admit(*LISTS)
    assert len(asked) == 1


def test_observers_hear_of_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[tuple[str, CallReport]] = []
    monkeypatch.setattr(call_governor, "observers", [lambda name, call: heard.append((name, call))])
    reports = [report(), silence(), refusal()]
    for each in reports:
        governor().report(each)
    assert heard == [("replicate", each) for each in reports]


@pytest.mark.parametrize(
    ("bound", "headers"),
    [
        ("abc-123", {"X-Correlation-ID": "abc-123"}),
        (None, {}),
        ("a\r\nX-Evil: 1", {}),
        ("x" * 500, {}),
        ("é", {}),
    ],
)
def test_call_carries_the_correlation_id(bound: str | None, headers: dict[str, str]) -> None:
    with structlog.contextvars.bound_contextvars(**({"correlation_id": bound} if bound else {})):
        assert governor().admit(*LISTS) == headers


def test_provider_without_a_token_has_a_closed_breaker(settings: Settings) -> None:
    settings.PROVIDERS = {}
    assert breaker_state("replicate").state is BreakerState.CLOSED


@pytest.mark.django_db
def test_sync_at_an_open_breaker_is_refused_without_a_call_and_validation_closes_it(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(circuit_breaker, "CHECK_PAUSE_SECONDS", 0.0)
    sandbox.fault("status", status=503)
    for _ in range(3):
        with pytest.raises(ProviderUnavailable):
            sync.discover_jobs("replicate")
    assert provider_state("replicate").breaker.state is BreakerState.OPEN
    assert provider_state("replicate").is_failing
    sandbox.clear_faults()
    sandbox.reset_requests()
    with pytest.raises(ProviderUnavailable, match="Next try"):
        sync.discover_jobs("replicate")
    assert sandbox.requests()["total"] == 0
    assert provider_accounts.validate("replicate").account is not None
    assert sync.discover_jobs("replicate").errors == ()


@pytest.mark.django_db
def test_new_provider_after_a_swap_of_the_token_is_governed_by_its_own_account(
    sandbox: RunningSandbox, settings: Settings
) -> None:
    settings.PROVIDERS = {"replicate": {"token": "revoked", "base_url": sandbox.url}}
    for _ in range(2):
        with pytest.raises(ProviderAuthError, match="refused the token"):
            sync.discover_jobs("replicate")
    assert sandbox.requests()["total"] <= 2
    settings.PROVIDERS = {"replicate": {"token": sandbox.token, "base_url": sandbox.url}}
    registry.forget_providers()
    assert sync.discover_jobs("replicate").errors == ()


def test_threads_that_report_at_once_lose_nothing(place: str) -> None:
    barrier = threading.Barrier(CALLS_WITHOUT_ANSWER)

    def fail() -> None:
        barrier.wait()
        governor().report(silence())

    threads = [threading.Thread(target=fail) for _ in range(CALLS_WITHOUT_ANSWER)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert breaker_state("replicate").state is BreakerState.OPEN


def test_what_is_left_is_told_without_taking_any(place: str, settings: Settings) -> None:
    settings.PROVIDER_CALLS_PER_MINUTE = 60
    full = calls_left("replicate")
    assert full is not None
    assert (full.now, full.burst, full.per_minute, full.waiting) == (12, 12, 60, 0)
    asked = governor(registry.get_token("replicate"))
    for _ in range(5):
        asked.admit(*LISTS)
    found = [calls_left("replicate") for _ in range(20)]
    assert {left.now for left in found if left is not None} <= {7, 8}
    left = found[-1]
    assert left is not None
    assert left.full_in_seconds == pytest.approx(5 / 0.8, abs=1.5)
    # As many are left as go out, and one that came meanwhile at most.
    admitted = 0
    with pytest.raises(ProviderRateLimited):  # noqa: PT012
        while admitted < 12:
            asked.admit(*LISTS)
            admitted += 1
    assert admitted in (left.now, left.now + 1)


def test_nothing_is_left_of_a_provider_that_is_not_configured(settings: Settings) -> None:
    settings.PROVIDERS = {}
    assert calls_left("replicate") is None
