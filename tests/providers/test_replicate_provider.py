import json
import re
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import responses

from providers import http as http_module
from providers.errors import (
    ProviderAuthError,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
    RemoteJobNotFound,
    UnexpectedPayload,
)
from providers.replicate import provider as provider_module
from providers.replicate.patience import CALLS_WITHOUT_ANSWER, Patience
from providers.replicate.provider import CONCURRENT_CALLS, ReplicateProvider
from providers.snapshots import FetchFailure, JobRef, JobSnapshot, RemoteStatus
from tests.sandbox_server import RunningSandbox, running_sandbox

ORIGIN = "https://api.replicate.com"
TRAININGS, PREDICTIONS = "/v1/trainings", "/v1/predictions"
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

Json = dict[str, Any]
Row = Json | None | int | str


def row(external_id: str, *, minutes_ago: float = 0, **fields: Any) -> Json:
    created_at = (NOON - timedelta(minutes=minutes_ago)).isoformat()
    return {"id": external_id, "status": "processing", "created_at": created_at, **fields}


def rows(prefix: str, count: int, *, minutes_ago: float = 0) -> list[Row]:
    """Jobs a minute apart, newest first."""
    return [row(f"{prefix}{number:04d}", minutes_ago=minutes_ago + number) for number in range(count)]


def refs(listed: Sequence[Row], kind: str | None = "training") -> list[JobRef]:
    return [
        JobRef(external_id=entry["id"], kind=kind, created_at=datetime.fromisoformat(entry["created_at"]))
        for entry in listed
        if isinstance(entry, dict)
    ]


class Remote:
    """What Replicate would answer, and what it was asked, call by call."""

    def __init__(self, mock: responses.RequestsMock) -> None:
        self.pages: dict[str, list[list[Row]]] = {TRAININGS: [[]], PREDICTIONS: [[]]}
        self.following: dict[tuple[str, int], object] = {}
        self.jobs: dict[str, Json] = {}
        self.answers: dict[str, tuple[int, Any] | Exception] = {}
        self.headers: dict[str, str] = {}
        self.calls: list[str] = []
        self.bodies: list[Any] = []
        self._lock = threading.Lock()
        for method in (responses.GET, responses.POST):
            mock.add_callback(method, re.compile(f"{ORIGIN}/.*"), self._answer)

    def _answer(self, request: Any) -> Any:
        parts = urlsplit(request.url)
        cursor = int(parse_qs(parts.query).get("cursor", ["0"])[0])
        name = f"{parts.path}#{cursor}" if cursor else parts.path
        with self._lock:
            self.calls.append(f"{request.method} {name}")
            self.bodies.append(json.loads(request.body) if request.body else None)
        if name in self.answers:
            answer = self.answers[name]
            if isinstance(answer, Exception):
                return answer
            return answer[0], self.headers, json.dumps(answer[1])
        if parts.path in self.pages:
            return 200, self.headers, json.dumps(self._page(parts.path, cursor))
        external_id = parts.path.removesuffix("/cancel").rsplit("/", 1)[1]
        if external_id in self.jobs:
            return 200, self.headers, json.dumps(self.jobs[external_id])
        return 404, self.headers, json.dumps({"detail": "The requested resource could not be found."})

    def _page(self, path: str, number: int) -> Json:
        pages = self.pages[path]
        usual = f"{ORIGIN}{path}?cursor={number + 1}" if number + 1 < len(pages) else None
        following = self.following.get((path, number), usual)
        return {"previous": None, "next": following, "results": pages[number] if number < len(pages) else []}

    def list_calls(self) -> list[str]:
        return sorted(call for call in self.calls if call.split("#")[0].endswith((TRAININGS, PREDICTIONS)))

    def single_calls(self) -> list[str]:
        return sorted(call for call in self.calls if call.count("/") > 2)


@pytest.fixture
def remote() -> Iterator[Remote]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield Remote(mock)


@pytest.fixture
def provider() -> ReplicateProvider:
    return ReplicateProvider(token="test-token")


def ids(snapshots: Sequence[JobSnapshot]) -> list[str]:
    return [snapshot.external_id for snapshot in snapshots]


def fetched(provider: ReplicateProvider, jobs: Sequence[JobRef]) -> dict[str, JobSnapshot | FetchFailure]:
    """The answers by id; there must be exactly one for each job."""
    outcomes = list(provider.fetch_many(jobs))
    assert Counter(outcome.external_id for outcome in outcomes) == Counter({job.external_id for job in jobs})
    return {outcome.external_id: outcome for outcome in outcomes}


def failures(outcomes: dict[str, JobSnapshot | FetchFailure]) -> dict[str, ProviderError]:
    return {name: outcome.error for name, outcome in outcomes.items() if isinstance(outcome, FetchFailure)}


def test_both_lists_are_read_newest_first(remote: Remote, provider: ReplicateProvider) -> None:
    remote.pages[TRAININGS] = [[row("t1", minutes_ago=1), row("t2", minutes_ago=30)]]
    remote.pages[PREDICTIONS] = [[row("p1", minutes_ago=0), row("p2", minutes_ago=10)]]
    listing = provider.list_recent()
    assert ids(listing.snapshots) == ["p1", "t1", "p2", "t2"]
    assert [snapshot.kind for snapshot in listing.snapshots] == ["prediction", "training", "prediction", "training"]
    assert listing.errors == ()


def test_job_in_both_lists_is_one_training(remote: Remote, provider: ReplicateProvider) -> None:
    remote.pages = {TRAININGS: [[row("both")]], PREDICTIONS: [[row("both"), row("p1", minutes_ago=5)]]}
    listing = provider.list_recent()
    assert [(snapshot.external_id, snapshot.kind) for snapshot in listing.snapshots] == [
        ("both", "training"),
        ("p1", "prediction"),
    ]


def test_no_more_than_the_limit_is_returned_and_read(remote: Remote, provider: ReplicateProvider) -> None:
    remote.pages = {TRAININGS: [rows("t", 100), rows("u", 100)], PREDICTIONS: [rows("p", 100), rows("q", 100)]}
    listing = provider.list_recent(limit=100)
    assert ids(listing.snapshots)[:4] == ["t0000", "p0000", "t0001", "p0001"]
    assert len(listing.snapshots) == 100
    assert remote.list_calls() == [f"GET {PREDICTIONS}", f"GET {TRAININGS}"]


def test_pages_are_read_until_the_limit_is_reached(remote: Remote, provider: ReplicateProvider) -> None:
    remote.pages[TRAININGS] = [rows("t", 100), rows("u", 100, minutes_ago=100), rows("v", 100, minutes_ago=200)]
    listing = provider.list_recent(limit=150)
    assert len(listing.snapshots) == 150
    assert ids(listing.snapshots)[-1] == "u0049"
    assert f"GET {TRAININGS}#2" not in remote.calls


def test_row_that_moved_onto_the_next_page_takes_nobodys_place(remote: Remote, provider: ReplicateProvider) -> None:
    first = rows("t", 3)
    remote.pages[TRAININGS] = [first, [first[-1], *rows("u", 2, minutes_ago=10)], rows("v", 3, minutes_ago=20)]
    listing = provider.list_recent(limit=6)
    assert ids(listing.snapshots) == ["t0000", "t0001", "t0002", "u0000", "u0001", "v0000"]


def test_job_without_a_time_counts_as_old(remote: Remote, provider: ReplicateProvider) -> None:
    remote.pages[TRAININGS] = [[row("timeless", created_at=None), row("t1", minutes_ago=1000)]]
    assert ids(provider.list_recent().snapshots) == ["t1", "timeless"]


@pytest.mark.parametrize(
    ("broken", "left"), [(TRAININGS, "p1"), (PREDICTIONS, "t1")], ids=["trainings fail", "predictions fail"]
)
def test_one_failing_list_leaves_the_other_and_its_error(
    remote: Remote, provider: ReplicateProvider, broken: str, left: str
) -> None:
    remote.pages = {TRAININGS: [[row("t1")]], PREDICTIONS: [[row("p1")]]}
    remote.answers[broken] = (503, {})
    listing = provider.list_recent()
    assert ids(listing.snapshots) == [left]
    assert [type(error) for error in listing.errors] == [ProviderUnavailable]


def test_empty_list_beside_a_failing_one_is_no_success(remote: Remote, provider: ReplicateProvider) -> None:
    remote.answers[TRAININGS] = (503, {})
    listing = provider.list_recent()
    assert listing.snapshots == ()
    assert len(listing.errors) == 1


def test_two_failing_lists_raise(remote: Remote, provider: ReplicateProvider) -> None:
    remote.answers = {TRAININGS: (401, {}), PREDICTIONS: (401, {})}
    with pytest.raises(ProviderAuthError):
        provider.list_recent()


@pytest.mark.parametrize("limited", [TRAININGS, PREDICTIONS])
def test_of_two_errors_the_one_that_names_a_time_is_raised(
    remote: Remote, provider: ReplicateProvider, limited: str
) -> None:
    remote.answers = {TRAININGS: (500, {}), PREDICTIONS: (500, {}), limited: (429, {})}
    remote.headers = {"Retry-After": "120"}
    with pytest.raises(ProviderRateLimited) as caught:
        provider.list_recent()
    assert caught.value.retry_after == 120


def test_failing_second_page_leaves_the_first(remote: Remote, provider: ReplicateProvider) -> None:
    remote.pages[TRAININGS] = [rows("t", 2), rows("u", 2)]
    remote.answers[f"{TRAININGS}#1"] = (502, {})
    listing = provider.list_recent()
    assert ids(listing.snapshots) == ["t0000", "t0001"]
    assert [type(error) for error in listing.errors] == [ProviderUnavailable]


@pytest.mark.parametrize("bad", [None, 5, "job", {}, {"id": "../account"}, {"id": None, "status": "starting"}])
def test_bad_row_spoils_neither_its_page_nor_the_next(remote: Remote, provider: ReplicateProvider, bad: Row) -> None:
    remote.pages[TRAININGS] = [[row("t1"), bad, row("t2", minutes_ago=1)], [row("t3", minutes_ago=2)]]
    listing = provider.list_recent()
    assert ids(listing.snapshots) == ["t1", "t2", "t3"]
    assert [type(error) for error in listing.errors] == [UnexpectedPayload]


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("https://evil.example/v1/trainings?cursor=1", id="another host"),
        pytest.param("https://api.replicate.com@evil.example/v1/trainings?cursor=1", id="our host as a user name"),
        pytest.param("http://api.replicate.com/v1/trainings?cursor=1", id="another scheme"),
        pytest.param("https://api.replicate.com:8443/v1/trainings?cursor=1", id="another port"),
        pytest.param("https://api.replicate.com/v1/predictions?cursor=1", id="another list"),
        pytest.param("https://api.replicate.com/v1/account?cursor=1", id="another path"),
        pytest.param("/v1/trainings?cursor=1", id="no origin"),
        pytest.param("https://[", id="no URL"),
    ],
)
def test_list_is_not_followed_to_another_address(remote: Remote, provider: ReplicateProvider, address: str) -> None:
    remote.pages[TRAININGS] = [rows("t", 2), rows("u", 2)]
    remote.following[TRAININGS, 0] = address
    listing = provider.list_recent()
    assert ids(listing.snapshots) == ["t0000", "t0001"]
    assert [type(error) for error in listing.errors] == [UnexpectedPayload]
    assert remote.list_calls() == [f"GET {PREDICTIONS}", f"GET {TRAININGS}"]


@pytest.mark.parametrize("back_to", [1, 2])
def test_list_that_runs_in_a_circle_ends(remote: Remote, provider: ReplicateProvider, back_to: int) -> None:
    remote.pages[TRAININGS] = [rows("t", 1), rows("u", 1), rows("v", 1)]
    remote.following[TRAININGS, 2] = f"{ORIGIN}{TRAININGS}?cursor={back_to}"
    assert len(provider.list_recent().snapshots) == 3
    assert len(remote.list_calls()) == 4


def test_list_without_an_end_is_given_up(
    remote: Remote, provider: ReplicateProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_module, "MAX_PAGES", 4)
    remote.pages[TRAININGS] = [rows(f"{letter}", 1) for letter in "abcdefgh"]
    assert ids(provider.list_recent().snapshots) == ["a0000", "b0000", "c0000", "d0000"]


def test_next_address_without_a_cursor_is_the_end(remote: Remote, provider: ReplicateProvider) -> None:
    remote.following[TRAININGS, 0] = f"{ORIGIN}{TRAININGS}"
    assert provider.list_recent().snapshots == ()
    assert len(remote.list_calls()) == 2


def test_job_of_known_kind_is_asked_for_once(remote: Remote, provider: ReplicateProvider) -> None:
    remote.jobs["t1"] = row("t1", logs="step 1/10")
    snapshot = provider.fetch(JobRef(external_id="t1", kind="training"))
    assert (snapshot.kind, snapshot.logs) == ("training", "step 1/10")
    assert remote.calls == [f"GET {TRAININGS}/t1"]


def test_job_of_unknown_kind_is_asked_for_at_both_endpoints(remote: Remote, provider: ReplicateProvider) -> None:
    remote.jobs["t1"] = row("t1")
    remote.answers[f"{PREDICTIONS}/t1"] = (404, {})
    assert provider.fetch(JobRef(external_id="t1")).kind is None
    assert remote.calls == [f"GET {PREDICTIONS}/t1", f"GET {TRAININGS}/t1"]


def test_job_that_neither_endpoint_knows_is_not_found(remote: Remote, provider: ReplicateProvider) -> None:
    with pytest.raises(RemoteJobNotFound):
        provider.fetch(JobRef(external_id="gone"))
    assert len(remote.calls) == 2


def test_trouble_at_the_first_endpoint_is_not_taken_for_not_found(remote: Remote, provider: ReplicateProvider) -> None:
    remote.answers[f"{PREDICTIONS}/t1"] = (500, {})
    with pytest.raises(ProviderUnavailable):
        provider.fetch(JobRef(external_id="t1"))
    assert len(remote.calls) == 1


@pytest.mark.parametrize("act", ["fetch", "cancel"])
def test_answer_for_another_job_is_refused(remote: Remote, provider: ReplicateProvider, act: str) -> None:
    remote.jobs["t1"] = row("t2")
    with pytest.raises(UnexpectedPayload, match="another job"):
        getattr(provider, act)(JobRef(external_id="t1", kind="training"))


@pytest.mark.parametrize("act", ["fetch", "cancel"])
@pytest.mark.parametrize("external_id", ["../account", "", "a/b", "a?b", "a#b", "a\n"])
def test_id_that_is_a_path_is_never_sent(
    remote: Remote, provider: ReplicateProvider, act: str, external_id: str
) -> None:
    with pytest.raises(RemoteJobNotFound):
        getattr(provider, act)(JobRef(external_id=external_id, kind="training"))
    assert remote.calls == []


@pytest.mark.parametrize("kind", ["training", "prediction", None])
def test_hundred_active_jobs_on_first_pages_cost_two_calls_at_most(
    remote: Remote, provider: ReplicateProvider, kind: str | None
) -> None:
    listed = rows("t", 100)
    remote.pages[PREDICTIONS if kind == "prediction" else TRAININGS] = [listed]
    assert not failures(fetched(provider, refs(listed, kind)))
    assert len(remote.calls) == (2 if kind is None else 1)


def test_jobs_of_both_kinds_are_found_in_their_lists(remote: Remote, provider: ReplicateProvider) -> None:
    trainings, predictions = rows("t", 50), rows("p", 50)
    remote.pages = {TRAININGS: [trainings], PREDICTIONS: [predictions]}
    outcomes = fetched(provider, refs(trainings, "training") + refs(predictions, "prediction"))
    assert not failures(outcomes)
    assert len(remote.calls) == 2


def test_job_of_unknown_kind_that_is_in_both_lists_is_answered_once(
    remote: Remote, provider: ReplicateProvider
) -> None:
    listed = rows("t", 5)
    remote.pages = {TRAININGS: [listed], PREDICTIONS: [listed]}
    outcomes = fetched(provider, refs(listed, None))
    assert {outcome.kind for outcome in outcomes.values() if isinstance(outcome, JobSnapshot)} == {"training"}


def test_one_or_two_jobs_are_asked_for_singly_with_their_logs(remote: Remote, provider: ReplicateProvider) -> None:
    remote.jobs = {name: row(name, logs="step 1/10") for name in ("t1", "t2")}
    outcomes = fetched(provider, [JobRef(external_id=name, kind="training") for name in remote.jobs])
    assert all(isinstance(outcome, JobSnapshot) and outcome.logs for outcome in outcomes.values())
    assert remote.list_calls() == []


def test_no_jobs_cost_no_call(remote: Remote, provider: ReplicateProvider) -> None:
    assert fetched(provider, []) == {}
    assert remote.calls == []


def test_job_asked_for_twice_is_answered_once(remote: Remote, provider: ReplicateProvider) -> None:
    listed = rows("t", 4)
    remote.pages[TRAININGS] = [listed]
    assert len(fetched(provider, refs(listed) + refs(listed))) == 4


def test_jobs_beyond_the_pages_are_fetched_singly(remote: Remote, provider: ReplicateProvider) -> None:
    listed = rows("t", 97)
    old = [row(f"old{number}", minutes_ago=100_000 + number) for number in range(3)]
    remote.pages[TRAININGS] = [listed, rows("u", 100, minutes_ago=200), rows("v", 100, minutes_ago=400)]
    remote.jobs = {entry["id"]: entry for entry in old}
    outcomes = fetched(provider, refs(listed) + refs(list(old)))
    assert not failures(outcomes)
    assert remote.single_calls() == [f"GET {TRAININGS}/old{number}" for number in range(3)]
    assert len(remote.list_calls()) == 2


def test_second_page_is_read_while_it_has_wanted_jobs(remote: Remote, provider: ReplicateProvider) -> None:
    first, second = rows("t", 100), rows("u", 100, minutes_ago=100)
    remote.pages[TRAININGS] = [first, second, rows("v", 100, minutes_ago=200)]
    outcomes = fetched(provider, refs([*first[:10], *second[:10]]))
    assert not failures(outcomes)
    assert remote.calls == [f"GET {TRAININGS}", f"GET {TRAININGS}#1"]


@pytest.mark.parametrize(
    ("wanted", "pages_read"),
    [
        pytest.param(3, 1, id="few jobs are worth no blank page"),
        pytest.param(45, 6, id="many jobs are worth some blank pages"),
    ],
)
def test_blank_pages_are_read_only_while_they_may_save_calls(
    remote: Remote, provider: ReplicateProvider, wanted: int, pages_read: int
) -> None:
    remote.pages[TRAININGS] = [rows(letter, 100, minutes_ago=100 * number) for number, letter in enumerate("abcdefgh")]
    missing = [row(f"old{number}", minutes_ago=100_000) for number in range(wanted)]
    remote.jobs = {entry["id"]: entry for entry in missing}
    assert not failures(fetched(provider, refs(list(missing))))
    assert len(remote.list_calls()) == pages_read
    assert len(remote.single_calls()) == wanted


def test_page_older_than_every_wanted_job_is_the_last(remote: Remote, provider: ReplicateProvider) -> None:
    remote.pages[TRAININGS] = [rows("t", 100), rows("u", 100, minutes_ago=100)]
    lost = [row(f"lost{number}", minutes_ago=5) for number in range(60)]
    remote.jobs = {entry["id"]: entry for entry in lost}
    assert not failures(fetched(provider, refs(list(lost))))
    assert len(remote.list_calls()) == 1


@pytest.mark.parametrize("year", [1, 9999])
def test_absurd_times_stop_nothing(remote: Remote, provider: ReplicateProvider, year: int) -> None:
    listed = rows("t", 4)
    remote.pages[TRAININGS] = [listed]
    absurd = datetime(year, 1, 1, tzinfo=UTC)
    jobs = [JobRef(external_id=job.external_id, kind="training", created_at=absurd) for job in refs(listed)]
    gone = JobRef(external_id="gone", kind="training", created_at=absurd)
    assert set(failures(fetched(provider, [*jobs, gone]))) == {"gone"}


@pytest.mark.parametrize(
    "poison",
    [
        pytest.param((500, {}), id="500"),
        pytest.param((403, {}), id="403"),
        pytest.param((404, {}), id="404"),
        pytest.param((200, "no job"), id="no job"),
        pytest.param((200, {"id": "other", "status": "starting"}), id="another job"),
        pytest.param(requests.ReadTimeout(), id="silence"),
        pytest.param(requests.ConnectionError(), id="a lost connection"),
    ],
)
def test_one_poison_job_does_not_hold_up_the_others(
    remote: Remote, provider: ReplicateProvider, poison: tuple[int, Any] | Exception
) -> None:
    jobs = [row(f"old{number}", minutes_ago=100_000) for number in range(40)]
    remote.jobs = {entry["id"]: entry for entry in jobs}
    remote.answers[f"{TRAININGS}/old0"] = poison
    assert set(failures(fetched(provider, refs(list(jobs))))) == {"old0"}


def test_many_poison_jobs_among_others_do_not_hold_them_up(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_module, "CONCURRENT_CALLS", 1)
    jobs = [row(f"old{number:02d}", minutes_ago=100_000) for number in range(4 * CALLS_WITHOUT_ANSWER)]
    remote.jobs = {entry["id"]: entry for entry in jobs}
    poison = {entry["id"] for entry in jobs[::2]}
    for external_id in poison:
        remote.answers[f"{TRAININGS}/{external_id}"] = (500, {})
    assert set(failures(fetched(ReplicateProvider(token="test-token"), refs(list(jobs))))) == poison


def test_unknown_status_word_in_a_list_is_an_answer(remote: Remote, provider: ReplicateProvider) -> None:
    listed = [*rows("t", 3), row("odd", minutes_ago=1, status="paused")]
    remote.pages[TRAININGS] = [listed]
    odd = fetched(provider, refs(listed))["odd"]
    assert isinstance(odd, JobSnapshot)
    assert (odd.status, odd.raw_status) == (None, "paused")


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param((500, {}), id="500"),
        pytest.param((200, []), id="no list"),
        pytest.param(requests.ReadTimeout(), id="silence"),
    ],
)
def test_one_failing_list_is_made_up_for_by_single_calls(
    remote: Remote, provider: ReplicateProvider, trouble: tuple[int, Any] | Exception
) -> None:
    trainings, predictions = rows("t", 5), rows("p", 5)
    remote.pages[PREDICTIONS] = [predictions]
    remote.answers[TRAININGS] = trouble
    remote.jobs = {entry["id"]: entry for entry in trainings if isinstance(entry, dict)}
    outcomes = fetched(provider, refs(trainings, "training") + refs(predictions, "prediction"))
    assert not failures(outcomes)
    assert len(remote.single_calls()) == 5


def test_nobody_is_asked_after_the_list_says_slow_down(remote: Remote, provider: ReplicateProvider) -> None:
    listed = rows("t", 100)
    remote.answers[TRAININGS] = (429, {})
    remote.headers = {"Retry-After": "120"}
    errors = failures(fetched(provider, refs(listed)))
    assert len(errors) == 100
    assert all(isinstance(error, ProviderRateLimited) and error.retry_after == 120 for error in errors.values())
    assert len(remote.calls) == 1


def test_what_one_list_told_is_kept_when_the_other_says_slow_down(remote: Remote, provider: ReplicateProvider) -> None:
    trainings, predictions = rows("t", 10), rows("p", 10)
    remote.pages[TRAININGS] = [trainings]
    remote.answers[PREDICTIONS] = (429, {})
    outcomes = fetched(provider, refs(trainings, "training") + refs(predictions, "prediction"))
    assert set(failures(outcomes)) == {job.external_id for job in refs(predictions)}
    assert remote.single_calls() == []


def test_second_page_that_says_slow_down_leaves_the_first(remote: Remote, provider: ReplicateProvider) -> None:
    first, second = rows("t", 100), rows("u", 50, minutes_ago=100)
    remote.pages[TRAININGS] = [first, second]
    remote.answers[f"{TRAININGS}#1"] = (429, {})
    errors = failures(fetched(provider, refs([*first, *second])))
    assert set(errors) == {job.external_id for job in refs(second)}
    assert remote.single_calls() == []


def test_single_calls_end_soon_after_one_says_slow_down(remote: Remote, provider: ReplicateProvider) -> None:
    jobs = [row(f"old{number:03d}", minutes_ago=100_000) for number in range(200)]
    remote.jobs = {entry["id"]: entry for entry in jobs}
    for number in range(20, 200):
        remote.answers[f"{TRAININGS}/old{number:03d}"] = (429, {})
    errors = failures(fetched(provider, refs(list(jobs))))
    assert len(errors) == 180
    assert {type(error) for error in errors.values()} == {ProviderRateLimited}
    assert len(remote.single_calls()) <= 20 + 2 * CONCURRENT_CALLS


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        pytest.param(requests.ReadTimeout(), ProviderTimeout, id="silence"),
        pytest.param((401, {}), ProviderAuthError, id="a refused token"),
    ],
)
def test_lists_that_are_silent_or_refuse_spare_the_single_calls(
    remote: Remote, provider: ReplicateProvider, trouble: tuple[int, Any] | Exception, kind: type[ProviderError]
) -> None:
    listed = rows("t", 50)
    remote.answers = {TRAININGS: trouble, PREDICTIONS: trouble}
    errors = failures(fetched(provider, refs(listed, None)))
    assert {type(error) for error in errors.values()} == {kind}
    assert len(remote.calls) == 2


def test_provider_that_is_gone_is_not_asked_for_every_job(remote: Remote, provider: ReplicateProvider) -> None:
    jobs = [row(f"old{number:03d}") for number in range(200)]
    for path in (TRAININGS, *(f"{TRAININGS}/{entry['id']}" for entry in jobs)):
        remote.answers[path] = (503, {})
    errors = failures(fetched(provider, refs(list(jobs))))
    assert len(errors) == 200
    assert {type(error) for error in errors.values()} == {ProviderUnavailable}
    assert len(remote.single_calls()) <= CALLS_WITHOUT_ANSWER + 2 * CONCURRENT_CALLS


@pytest.mark.parametrize(
    "answer",
    [None, RemoteJobNotFound("x"), ProviderRejected("x"), UnexpectedPayload("x")],
    ids=lambda it: type(it).__name__,
)
def test_any_answer_renews_patience(answer: ProviderError | None) -> None:
    patience = Patience()
    for _ in range(3):
        for _ in range(CALLS_WITHOUT_ANSWER - 1):
            patience.note(ProviderUnavailable("x"))
        patience.note(answer)
    assert patience.lost_to is None


def test_batch_after_a_failed_one_starts_with_fresh_patience(remote: Remote, provider: ReplicateProvider) -> None:
    listed = rows("t", 10)
    remote.answers[TRAININGS] = (429, {})
    assert len(failures(fetched(provider, refs(listed)))) == 10
    remote.answers.clear()
    remote.pages[TRAININGS] = [listed]
    assert not failures(fetched(provider, refs(listed)))


def test_training_is_created_below_its_models_version(remote: Remote, provider: ReplicateProvider) -> None:
    remote.answers["/v1/models/acme/trainer/versions/abc123/trainings"] = (201, row("t1", status="starting"))
    snapshot = provider.create(
        {
            "model": "acme/trainer",
            "version": "abc123",
            "destination": "acme/result",
            "input": {"steps": 10},
            "webhook": "https://hooks.example/",
            "webhook_events_filter": None,
        }
    )
    assert (snapshot.kind, snapshot.status) == ("training", RemoteStatus.QUEUED)
    assert remote.bodies == [
        {"destination": "acme/result", "input": {"steps": 10}, "webhook": "https://hooks.example/"}
    ]


def test_prediction_is_created_by_its_model(remote: Remote, provider: ReplicateProvider) -> None:
    remote.answers["/v1/models/acme/painter/predictions"] = (201, row("p1", status="starting"))
    assert provider.create({"model": "acme/painter", "input": {"prompt": "a boat"}}).kind == "prediction"
    assert remote.bodies == [{"input": {"prompt": "a boat"}}]


def test_prediction_is_created_by_its_version(remote: Remote, provider: ReplicateProvider) -> None:
    remote.answers[PREDICTIONS] = (201, row("p1", status="starting"))
    assert provider.create({"version": "abc123", "input": {}}).external_id == "p1"
    assert remote.bodies == [{"version": "abc123", "input": {}}]


@pytest.mark.parametrize(
    "request_body",
    [
        pytest.param({"destination": "a/b", "input": {}, "model": "a/b"}, id="a training without a version"),
        pytest.param({"destination": "a/b", "input": {}, "version": "abc"}, id="a training without a model"),
        pytest.param({"model": "a/../../account", "input": {}}, id="a path as a model"),
        pytest.param({"model": "../account", "input": {}}, id="a way upwards as a model"),
        pytest.param({"model": "trainer", "input": {}}, id="a model without an owner"),
        pytest.param({"model": 5, "input": {}}, id="a number as a model"),
        pytest.param({"model": "a/b", "version": "../x", "destination": "a/b"}, id="a path as a version"),
    ],
)
def test_request_that_cannot_be_sent_is_refused(
    remote: Remote, provider: ReplicateProvider, request_body: Json
) -> None:
    with pytest.raises(ProviderRejected):
        provider.create(request_body)
    assert remote.calls == []


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        pytest.param((422, {"detail": "no such version"}), ProviderRejected, id="refused"),
        pytest.param(
            (404, {"detail": "no such destination"}), ProviderRejected, id="a destination that does not exist"
        ),
        pytest.param((503, {}), ProviderUnavailable, id="unavailable"),
        pytest.param(requests.ReadTimeout(), ProviderTimeout, id="silent"),
        pytest.param((201, {"status": "starting"}), UnexpectedPayload, id="answered without an id"),
    ],
)
def test_failed_creation_is_told_and_never_repeated(
    remote: Remote, provider: ReplicateProvider, trouble: tuple[int, Any] | Exception, kind: type[ProviderError]
) -> None:
    remote.answers[PREDICTIONS] = trouble
    with pytest.raises(kind):
        provider.create({"version": "abc123", "input": {}})
    assert remote.calls == [f"POST {PREDICTIONS}"]


@pytest.mark.parametrize(("kind", "path"), [("training", TRAININGS), ("prediction", PREDICTIONS)])
def test_cancelling_returns_what_the_provider_then_says(
    remote: Remote, provider: ReplicateProvider, kind: str, path: str
) -> None:
    remote.jobs["t1"] = row("t1", status="canceled")
    snapshot = provider.cancel(JobRef(external_id="t1", kind=kind))
    assert (snapshot.status, snapshot.kind) == (RemoteStatus.CANCELLED, kind)
    assert remote.calls == [f"POST {path}/t1/cancel"]


def test_cancelling_a_finished_job_tells_how_it_ended(remote: Remote, provider: ReplicateProvider) -> None:
    remote.jobs["t1"] = row("t1", status="succeeded")
    assert provider.cancel(JobRef(external_id="t1", kind="training")).status is RemoteStatus.COMPLETED


def test_cancelling_a_job_of_unknown_kind_tries_both_and_guesses_no_kind(
    remote: Remote, provider: ReplicateProvider
) -> None:
    remote.jobs["t1"] = row("t1", status="canceled")
    remote.answers[f"{PREDICTIONS}/t1/cancel"] = (404, {})
    assert provider.cancel(JobRef(external_id="t1")).kind is None
    assert remote.calls == [f"POST {PREDICTIONS}/t1/cancel", f"POST {TRAININGS}/t1/cancel"]


def test_cancelling_an_unknown_job_is_not_found(remote: Remote, provider: ReplicateProvider) -> None:
    with pytest.raises(RemoteJobNotFound):
        provider.cancel(JobRef(external_id="gone", kind="training"))
    assert len(remote.calls) == 1


def test_account_tells_who_we_are(remote: Remote, provider: ReplicateProvider) -> None:
    remote.answers["/v1/account"] = (200, {"type": "user", "username": "ada"})
    assert provider.account().username == "ada"


def test_hardware_is_listed(remote: Remote, provider: ReplicateProvider) -> None:
    remote.answers["/v1/hardware"] = (200, [{"sku": "gpu-h100", "name": "Nvidia H100 GPU"}])
    assert [machine.sku for machine in provider.hardware()] == ["gpu-h100"]


def test_webhook_secret_is_read(remote: Remote, provider: ReplicateProvider) -> None:
    remote.answers["/v1/webhooks/default/secret"] = (200, {"key": "whsec_abc"})
    assert provider.webhook_secret() == "whsec_abc"


@pytest.mark.parametrize("body", [None, [], {}, {"key": ""}, {"key": None}, {"key": 5}])
def test_missing_webhook_secret_is_an_error(remote: Remote, provider: ReplicateProvider, body: object) -> None:
    remote.answers["/v1/webhooks/default/secret"] = (200, body)
    with pytest.raises(UnexpectedPayload):
        provider.webhook_secret()


@pytest.fixture
def account() -> Iterator[RunningSandbox]:
    with running_sandbox() as server:
        yield server


@pytest.fixture
def connected(account: RunningSandbox) -> ReplicateProvider:
    return ReplicateProvider(token=account.token, base_url=account.url)


def test_sandbox_account_is_discovered_and_watched(account: RunningSandbox, connected: ReplicateProvider) -> None:
    training = account.add_job(kind="training", created_offset=-400)
    prediction = account.add_job(kind="prediction", created_offset=-1000)
    listing = connected.list_recent()
    assert [(snapshot.external_id, snapshot.kind) for snapshot in listing.snapshots] == [
        (training["id"], "training"),
        (prediction["id"], "prediction"),
    ]
    assert {snapshot.status for snapshot in listing.snapshots} == {RemoteStatus.RUNNING}
    whole = connected.fetch(JobRef(external_id=training["id"], kind="training"))
    assert whole.logs
    assert whole.started_at is not None
    assert connected.account().username
    assert connected.hardware()
    assert connected.webhook_secret().startswith("whsec_")


def test_sandbox_lists_of_several_pages_are_read_whole(account: RunningSandbox, connected: ReplicateProvider) -> None:
    made = {account.add_job(kind="training", created_offset=-60.0 * number)["id"] for number in range(150)}
    assert {snapshot.external_id for snapshot in connected.list_recent(limit=200).snapshots} == made
    account.reset_requests()
    outcomes = fetched(connected, [JobRef(external_id=name, kind="training") for name in made])
    assert not failures(outcomes)
    assert account.requests()["total"] == 2


def test_sandbox_job_of_unknown_kind_is_cancelled(account: RunningSandbox, connected: ReplicateProvider) -> None:
    job = account.add_job(kind="training", created_offset=-400)
    reference = JobRef(external_id=job["id"])
    assert connected.cancel(reference).status is RemoteStatus.CANCELLED
    assert connected.fetch(reference).status is RemoteStatus.CANCELLED


def test_sandbox_training_is_created(account: RunningSandbox, connected: ReplicateProvider) -> None:
    version = account.get("/models/ostris/flux-dev-lora-trainer/versions")["results"][0]["id"]
    created = connected.create(
        {
            "model": "ostris/flux-dev-lora-trainer",
            "version": version,
            "destination": "acme/result",
            "input": {"input_images": "https://r.example/images.zip"},
        }
    )
    assert created.status is RemoteStatus.QUEUED
    assert [snapshot.external_id for snapshot in connected.list_recent().snapshots] == [created.external_id]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        pytest.param({"kind": "status", "status": 500}, ProviderUnavailable, id="500"),
        pytest.param({"kind": "reset"}, ProviderUnavailable, id="reset"),
        pytest.param({"kind": "half_body"}, ProviderUnavailable, id="half a body"),
        pytest.param({"kind": "bad_json"}, UnexpectedPayload, id="half a JSON"),
        pytest.param({"kind": "html"}, UnexpectedPayload, id="a page with 200"),
        pytest.param({"kind": "html", "status": 502}, ProviderUnavailable, id="a page with 502"),
        pytest.param({"kind": "null_body"}, UnexpectedPayload, id="null"),
        pytest.param({"kind": "list_body"}, UnexpectedPayload, id="a list"),
        pytest.param({"kind": "huge_body"}, UnexpectedPayload, id="a huge body"),
        pytest.param({"kind": "timeout"}, ProviderTimeout, id="silence"),
        pytest.param({"kind": "429", "retry_after": "120"}, ProviderRateLimited, id="429"),
    ],
)
def test_sandbox_faults_become_our_errors(
    account: RunningSandbox,
    connected: ReplicateProvider,
    monkeypatch: pytest.MonkeyPatch,
    fault: Json,
    kind: type[ProviderError],
) -> None:
    monkeypatch.setattr(http_module, "READ_TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr(http_module, "MAX_BODY_BYTES", 2 * 1024**2)
    job = account.add_job(kind="training", created_offset=-400)
    account.fault(**fault)
    for act in (lambda: connected.fetch(JobRef(external_id=job["id"], kind="training")), connected.list_recent):
        with pytest.raises(ProviderError) as caught:
            act()
        assert type(caught.value) is kind


def test_sandbox_silence_costs_one_wait_however_many_jobs(
    account: RunningSandbox, connected: ReplicateProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_module, "READ_TIMEOUT_SECONDS", 0.5)
    account.fault("timeout")
    errors = failures(fetched(connected, [JobRef(external_id=f"job{number}") for number in range(100)]))
    assert {type(error) for error in errors.values()} == {ProviderTimeout}
    assert account.requests()["total"] == 2
