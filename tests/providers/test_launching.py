"""Starting a job at Replicate, finding it by its mark, and bringing files there."""

import json
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from providers import http as http_module
from providers.errors import ProviderError, ProviderRejected, ProviderTimeout, ProviderUnavailable, UnexpectedPayload
from providers.launch import TrainingRequest
from providers.multipart import FileForm
from providers.profiles import PROFILES
from providers.replicate import launching, mapping, marks
from providers.replicate.provider import ReplicateProvider
from tests.sandbox_server import RunningSandbox, running_sandbox

MARK = "stc-0123456789abcdef0123456789abcdef"
OTHER = "stc-ffffffffffffffffffffffffffffffff"
H100 = "simpletuner/advanced-trainer-h100"
NOW = datetime.now(UTC)


@pytest.fixture
def account() -> Iterator[RunningSandbox]:
    with running_sandbox() as server:
        yield server


@pytest.fixture
def provider(account: RunningSandbox) -> ReplicateProvider:
    return ReplicateProvider(token=account.token, base_url=account.url)


def request(**fields: Any) -> TrainingRequest:
    return TrainingRequest(**({"model": H100, "mark": MARK, "config": {"lr": 0.1}, "name": "mugs"} | fields))


def start(provider: ReplicateProvider, **fields: Any) -> str:
    wanted = request(**fields)
    return provider.launch(wanted, provider.newest_version(wanted.model)).external_id


def test_launch_is_one_call_and_its_answer_carries_the_mark(
    account: RunningSandbox, provider: ReplicateProvider
) -> None:
    version = provider.newest_version(H100)
    account.reset_requests()
    snapshot = provider.launch(request(), version)
    assert (snapshot.mark, snapshot.kind, snapshot.name) == (MARK, "prediction", "mugs")
    assert snapshot.hardware == "gpu-h100"
    assert account.requests()["counts"] == {"POST /v1/predictions": 1}


@pytest.mark.parametrize("kind", ["status", "reset", "half_body", "lost_answer", "null_body"])
def test_failed_launch_is_never_repeated_and_leaves_open_whether_it_started(
    account: RunningSandbox, provider: ReplicateProvider, kind: str
) -> None:
    version = provider.newest_version(H100)
    account.fault(kind, method="POST", path="/v1/predictions")
    account.reset_requests()
    with pytest.raises(ProviderError) as caught:
        provider.launch(request(), version)
    assert not caught.value.unsent
    assert account.requests()["counts"] == {"POST /v1/predictions": 1}


def test_refused_connection_says_that_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ProviderUnavailable) as caught:
        ReplicateProvider(token="t", base_url=f"http://127.0.0.1:{port}").launch(request(), "v")
    assert caught.value.unsent


def test_silence_after_the_connection_leaves_open_whether_it_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "READ_TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        base_url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(ProviderTimeout) as caught:
            ReplicateProvider(token="t", base_url=base_url).launch(request(), "v")
    assert not caught.value.unsent


def test_every_trainer_has_a_version(provider: ReplicateProvider) -> None:
    assert all(provider.newest_version(profile.model) for profile in PROFILES["replicate"].values())


@pytest.mark.parametrize("model", ["nobody/nothing", "../account", "trainer"])
def test_trainer_that_is_not_there_is_a_refusal(provider: ReplicateProvider, model: str) -> None:
    with pytest.raises(ProviderRejected):
        provider.newest_version(model)


@pytest.mark.parametrize(
    "payload", [None, [], {}, {"latest_version": None}, {"latest_version": {"id": "../x"}}], ids=str
)
def test_model_without_a_version_is_a_refusal(payload: object) -> None:
    with pytest.raises(ProviderRejected):
        launching.newest_version(payload)


def test_only_what_is_given_is_sent() -> None:
    assert launching.prediction(request(name="", config={}), "v") == {
        "version": f"{H100}:v",
        "input": {"config_json": "{}", marks.INPUT_KEY: MARK},
    }


def test_token_leaves_the_configuration_for_the_input_that_is_kept_secret() -> None:
    body = launching.prediction(request(config={"--hf_token": "hf_x", "--hub_model_id": "a/b", "lr": 1}), "v")
    assert json.loads(body["input"]["config_json"]) == {"--hub_model_id": "a/b", "lr": 1}
    assert (body["input"]["hf_token"], body["input"]["hub_model_id"]) == ("hf_x", "a/b")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://us.example/hook", f"https://us.example/hook?job={MARK}"),
        ("https://us.example/hook?a=b&empty=", f"https://us.example/hook?a=b&empty=&job={MARK}"),
        (f"https://us.example/hook?job={OTHER}", f"https://us.example/hook?job={MARK}"),
    ],
)
def test_mark_joins_what_stands_in_a_url_already(url: str, expected: str) -> None:
    assert marks.marked_url(url, MARK) == expected
    assert marks.read_mark({"webhook": expected}) == MARK


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"input": None, "webhook": None},
        {"input": {"simpletuner_cloud_job": "stc-short"}},
        {"input": {"simpletuner_cloud_job": [MARK]}},
        {"input": {"simpletuner_cloud_job": MARK + "0"}},
        {"webhook": 5},
        {"webhook": "https://[broken?job=x"},
        {"webhook": "https://x.example/?job=17"},
        {"webhook": "https://x.example/?" + "&".join(f"a{n}=1" for n in range(500))},
        {"webhook": f"https://x.example/#job={MARK}"},
    ],
)
def test_everybody_elses_jobs_have_no_mark(body: dict[str, Any]) -> None:
    assert marks.read_mark(body) is None


def test_mark_is_read_from_a_job_and_not_shown_with_its_input() -> None:
    body = {"id": "p1", "status": "starting", "input": {"steps": 5, "simpletuner_cloud_job": MARK}}
    snapshot = mapping.snapshot(body, as_of=NOW)
    assert (snapshot.mark, snapshot.metadata["input"]) == (MARK, {"steps": 5})


def test_marked_jobs_are_found_among_others_on_any_page(account: RunningSandbox, provider: ReplicateProvider) -> None:
    ours = start(provider)
    start(provider, mark=OTHER)
    for _ in range(120):
        account.add_job(kind="prediction")
    account.add_job(kind="prediction", created_offset=-7200, input={"simpletuner_cloud_job": MARK})
    account.reset_requests()
    search = provider.find_marked({MARK}, since=datetime.now(UTC))
    assert [snapshot.external_id for snapshot in search.found] == [ours]
    assert account.requests()["counts"] == {"GET /v1/predictions": 2}


def test_jobs_without_their_data_are_told_apart(account: RunningSandbox, provider: ReplicateProvider) -> None:
    gone = account.add_job(kind="prediction")
    account.change_job(gone["id"], data_removed=True, input={})
    hooked = account.add_job(kind="prediction", webhook=f"https://us.example/?job={MARK}")
    account.change_job(hooked["id"], data_removed=True, input={})
    search = provider.find_marked({MARK}, since=NOW)
    assert [snapshot.external_id for snapshot in search.found] == [hooked["id"]]
    assert [snapshot.external_id for snapshot in search.hidden] == [gone["id"]]


@pytest.mark.parametrize(
    "fault", [{"kind": "bad_json"}, {"kind": "status", "status": 500}, {"kind": "half_body"}], ids=str
)
def test_search_that_could_not_read_a_page_is_no_search(
    account: RunningSandbox, provider: ReplicateProvider, fault: dict[str, Any]
) -> None:
    for _ in range(120):
        account.add_job(kind="prediction")
    provider.find_marked({MARK}, since=NOW)
    account.fault(**fault, path="^/v1/predictions$")
    with pytest.raises(ProviderError):
        provider.find_marked({MARK}, since=NOW)


def test_row_that_cannot_be_read_makes_it_no_search(account: RunningSandbox, provider: ReplicateProvider) -> None:
    job = account.add_job(kind="prediction")
    account.change_job(job["id"], id=None)
    with pytest.raises(UnexpectedPayload):
        provider.find_marked({MARK}, since=NOW)


def test_file_is_uploaded_as_it_is_and_its_progress_told(
    account: RunningSandbox, provider: ReplicateProvider, tmp_path: Path
) -> None:
    path = tmp_path / "images.zip"
    path.write_bytes(bytes(range(256)) * 4096)
    told: list[int] = []
    file = provider.upload(path, 'schön "1"\r\n.zip', told.append)
    (stored,) = account.get("/files")["results"]
    assert (stored["size"], stored["name"]) == (2**20, "schön _1___.zip")
    assert (file.url, told[-1], told) == (stored["urls"]["get"], 2**20, sorted(told))
    assert file.expires_at is not None
    assert abs(file.expires_at - datetime.now(UTC) - timedelta(days=1)) < timedelta(minutes=1)


def test_file_beyond_the_limit_is_refused_without_a_call(
    account: RunningSandbox, provider: ReplicateProvider, tmp_path: Path
) -> None:
    path = tmp_path / "big.zip"
    with path.open("wb") as file:
        file.truncate(launching.MAX_FILE_BYTES + 1)
    with pytest.raises(ProviderRejected, match="up to 100 MiB"):
        provider.upload(path, "big.zip", lambda _: None)
    assert account.requests()["total"] == 0


def test_file_that_is_not_there_is_refused(provider: ReplicateProvider, tmp_path: Path) -> None:
    with pytest.raises(ProviderRejected):
        provider.upload(tmp_path / "nothing", "nothing", lambda _: None)


def test_file_that_became_shorter_is_not_sent_as_if_it_were_whole(tmp_path: Path) -> None:
    path = tmp_path / "short"
    path.write_bytes(b"abc")
    with path.open("rb") as file:
        form = FileForm(file, name="short", size=10, seconds=5, on_progress=lambda _: None)
        with pytest.raises(ProviderRejected, match="shorter"):
            b"".join(form)


def test_upload_on_a_line_that_is_only_just_alive_ends(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    with path.open("rb") as file:
        form = FileForm(file, name="file", size=3, seconds=0.01, on_progress=lambda _: None)
        time.sleep(0.02)
        with pytest.raises(ProviderTimeout):
            form.read(10)


@pytest.mark.parametrize("answer", [None, [], {}, {"urls": {}}, {"urls": {"get": "file:///etc"}}], ids=str)
def test_upload_answered_without_an_address_is_unusable(answer: object) -> None:
    with pytest.raises(UnexpectedPayload):
        launching.uploaded_file(answer)


@pytest.mark.parametrize("expires_at", ["soon", None, 5, "9999-12-31T23:59:59.999999-23:00"], ids=str)
def test_time_that_is_none_is_not_known(expires_at: object) -> None:
    file = launching.uploaded_file({"urls": {"get": "https://r.example/f"}, "expires_at": expires_at})
    assert file.expires_at is None


def test_recorded_answer_to_an_upload_is_understood() -> None:
    """As replicate-python's cassette has it (file-operations)."""
    file = launching.uploaded_file(
        {
            "id": "NGZiNmY2YzQtMThhZi00ZjcyLWFhZjktODg4NTY0NWNlMDEy",
            "size": 0,
            "expires_at": "2024-08-23T12:26:51.079Z",
            "urls": {"get": "https://api.replicate.com/v1/files/NGZiNmY2YzQtMThhZi00ZjcyLWFhZjktODg4NTY0NWNlMDEy"},
        }
    )
    assert file.url.endswith("NWNlMDEy")
    assert file.expires_at == datetime(2024, 8, 23, 12, 26, 51, 79_000, tzinfo=UTC)
