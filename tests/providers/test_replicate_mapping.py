import json
import math
import string
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from providers.errors import UnexpectedPayload
from providers.replicate import cleaning, mapping
from providers.snapshots import Account, Hardware, JobSnapshot, RemoteStatus

FIXTURES = Path(__file__).parent.parent / "fixtures" / "replicate"
AS_OF = datetime(2026, 11, 20, 11, 0, tzinfo=UTC)
HF_TOKEN = "hf_abcdefghijklmnopqrstuvwxyz012345"
R8_TOKEN = "r8_abcdefghijklmnopqrstuvwxyz0123456789"
SK_TOKEN = "sk-proj-abcdefghijklmnopqrstuvwxyz"


def payload(name: str, **changes: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))
    return body | changes


def read(body: object, kind: str | None = "training") -> JobSnapshot:
    return mapping.snapshot(body, as_of=AS_OF, kind=kind)


def job(**fields: Any) -> JobSnapshot:
    """What is read of a job that has these fields and no others."""
    return read({"id": "a" * 26, "status": "processing", **fields})


def shown(inputs: dict[str, Any]) -> Any:
    return job(input=inputs).metadata.get("input")


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("starting", RemoteStatus.QUEUED),
        ("processing", RemoteStatus.RUNNING),
        ("succeeded", RemoteStatus.COMPLETED),
        ("failed", RemoteStatus.FAILED),
        ("canceled", RemoteStatus.CANCELLED),
        ("aborted", RemoteStatus.CANCELLED),
    ],
)
def test_each_status_word_has_its_meaning(word: str, status: RemoteStatus) -> None:
    snapshot = job(status=word)
    assert (snapshot.status, snapshot.raw_status) == (status, word)


@pytest.mark.parametrize(
    ("word", "raw"),
    [
        pytest.param("paused", "paused", id="a new word"),
        pytest.param("Succeeded", "Succeeded", id="another case"),
        pytest.param("cancelled", "cancelled", id="our own spelling"),
        pytest.param("queued", "queued", id="our own word"),
        pytest.param("", "", id="empty"),
        pytest.param(None, "null", id="null"),
        pytest.param(7, "7", id="a number"),
        pytest.param(["failed"], '["failed"]', id="a list"),
        pytest.param({"a": {"b": 1}}, '{"a": {"b": 1}}', id="an object"),
        pytest.param("x" * 1000, "x" * 64, id="as long as the column"),
    ],
)
def test_unknown_status_word_is_kept_and_never_guessed(word: object, raw: str) -> None:
    snapshot = job(status=word)
    assert (snapshot.status, snapshot.raw_status) == (None, raw)


def test_starting_training_is_read() -> None:
    assert read(payload("training_starting")) == JobSnapshot(
        provider="replicate",
        external_id="t1a2b3c4d5e6f7g8h9j0k1m2n3",
        status=RemoteStatus.QUEUED,
        raw_status="starting",
        as_of=AS_OF,
        kind="training",
        name="anime-lora",
        created_at=datetime(2026, 11, 20, 10, 0, 0, 230_000, tzinfo=UTC),
        hardware="gpu-h100",
        metadata={
            "model": "simpletuner/advanced-trainer-h100",
            "version": "5f2b1c0d9e8a7f6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3a2b",
            "input": {"config_name": "anime-lora", "hf_token": "••••", "max_train_steps": 5000},
        },
    )


def test_running_training_is_read() -> None:
    snapshot = read(payload("training_processing"))
    assert snapshot.started_at == datetime(2026, 11, 20, 10, 1, 12, 170_420, tzinfo=UTC)
    assert snapshot.logs == "loading model\nStep 1500/5000 - loss: 0.0234\n"
    assert (snapshot.completed_at, snapshot.run_seconds, snapshot.error) == (None, None, None)
    assert snapshot.metadata["web_url"] == "https://replicate.com/p/t1a2b3c4d5e6f7g8h9j0k1m2n3"


def test_finished_training_is_read() -> None:
    snapshot = read(payload("training_succeeded"))
    assert snapshot.completed_at == datetime(2026, 11, 20, 10, 31, 12, 678_378, tzinfo=UTC)
    assert snapshot.run_seconds == 1800.507958653
    assert snapshot.output_url == "https://replicate.delivery/xezq/abc/trained_model.tar"
    assert snapshot.metadata["output_version"].startswith("acme/anime-lora:0123")


def test_job_ended_before_its_start_is_cancelled_with_its_reason_and_costs_nothing() -> None:
    snapshot = read(payload("prediction_aborted"))
    assert snapshot.status is RemoteStatus.CANCELLED
    assert snapshot.run_seconds == 0.0
    assert snapshot.error == "Ended by Replicate before it started (aborted)."
    assert snapshot.metadata["deadline"] == "2026-11-20T09:05:00Z"


def test_providers_own_reason_for_an_abort_is_kept() -> None:
    assert job(status="aborted", error="Deadline exceeded").error == "Deadline exceeded"


def test_removed_data_is_flagged_and_says_nothing_of_logs_and_output() -> None:
    snapshot = read(payload("prediction_data_removed"))
    assert snapshot.metadata["data_removed"] is True
    assert (snapshot.logs, snapshot.output_url) == (None, None)
    assert "input" not in snapshot.metadata


def test_absent_means_the_same_as_null() -> None:
    body = payload("training_succeeded")
    for key in body.keys() - {"id"}:
        without = {name: value for name, value in body.items() if name != key}
        assert read(without) == read(body | {key: None})


def test_unknown_fields_are_ignored() -> None:
    assert read(payload("training_succeeded", tomorrow={"a": 1})) == read(payload("training_succeeded"))


def test_empty_log_says_nothing() -> None:
    assert job(logs="").logs is None


@pytest.mark.parametrize("kind", ["training", "prediction", None])
def test_kind_is_what_the_caller_knows(kind: str | None) -> None:
    assert read(payload("training_starting"), kind=kind).kind == kind


@pytest.mark.parametrize(
    "external_id",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param(5, id="a number"),
        pytest.param("../account", id="a path upwards"),
        pytest.param("a/b", id="a path"),
        pytest.param("..", id="dots"),
        pytest.param("a?b=c", id="a query"),
        pytest.param("a%2Fb", id="an escaped path"),
        pytest.param("a b", id="a blank"),
        pytest.param("abc\n", id="a line end"),
        pytest.param("аbc", id="a Cyrillic look-alike"),
        pytest.param("a" * 65, id="too long"),
    ],
)
def test_job_without_a_usable_id_is_refused(external_id: object) -> None:
    with pytest.raises(UnexpectedPayload, match="usable id"):
        read({"id": external_id, "status": "starting"})


@pytest.mark.parametrize("body", [None, [], "starting", 5, True])
def test_job_that_is_no_object_is_refused(body: object) -> None:
    with pytest.raises(UnexpectedPayload):
        read(body)


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [
        ("2026-11-20T10:00:00Z", 0),
        ("2026-11-20T10:00:00.23Z", 230_000),
        ("2026-11-20T10:00:00.230Z", 230_000),
        ("2026-11-20T10:00:00.1704Z", 170_400),
        ("2026-11-20T10:00:00.17042Z", 170_420),
        ("2026-11-20T10:00:00.170423Z", 170_423),
        ("2026-11-20T10:00:00.1704239Z", 170_423),
        ("2026-11-20T10:00:00.17042399Z", 170_423),
        ("2026-11-20T10:00:00.678378653Z", 678_378),
        ("2026-11-20T15:30:00.5+05:30", 500_000),
        ("2026-11-20T10:00:00", 0),
    ],
)
def test_times_are_read_whatever_their_fraction_and_zone(text: str, microsecond: int) -> None:
    found = job(created_at=text).created_at
    assert found == datetime(2026, 11, 20, 10, 0, 0, microsecond, tzinfo=UTC)
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    [
        "",
        "yesterday",
        1_763_600_000,
        True,
        None,
        [],
        "2026-02-30T10:00:00Z",
        "\ud800",
        pytest.param("0001-01-01T00:00:00Z", id="not set, as Go writes it"),
        pytest.param("0001-01-01T00:00:00+14:00", id="before the first year"),
        pytest.param("9999-12-31T23:59:59-14:00", id="after the last year"),
    ],
)
def test_what_is_no_time_is_not_said(value: object) -> None:
    snapshot = job(created_at=value, started_at=value, completed_at=value)
    assert (snapshot.created_at, snapshot.started_at, snapshot.completed_at) == (None, None, None)


@pytest.mark.parametrize(
    ("metrics", "seconds"),
    [
        pytest.param({"predict_time": 5.25}, 5.25, id="a fraction"),
        pytest.param({"predict_time": 3e-06}, 3e-06, id="cancelled at once"),
        pytest.param({"predict_time": 0}, 0.0, id="zero"),
        pytest.param({"predict_time": 90, "total_time": 900}, 90.0, id="waiting is not billed"),
        pytest.param({}, None, id="nothing yet"),
        pytest.param({"total_time": 90}, None, id="waiting only"),
        pytest.param(None, None, id="no metrics"),
        pytest.param([5], None, id="a list"),
        pytest.param({"predict_time": -1}, None, id="negative"),
        pytest.param({"predict_time": "5"}, None, id="a text"),
        pytest.param({"predict_time": True}, None, id="a truth"),
        pytest.param({"predict_time": math.nan}, None, id="not a number"),
        pytest.param({"predict_time": math.inf}, None, id="infinite"),
        pytest.param({"predict_time": 10**400}, None, id="more than a float holds"),
        pytest.param({"predict_time": 1e25}, None, id="more than a life"),
    ],
)
def test_billed_seconds_are_a_plain_number_or_not_said(metrics: object, seconds: float | None) -> None:
    assert job(metrics=metrics).run_seconds == seconds


def test_negative_zero_is_zero() -> None:
    assert str(job(metrics={"predict_time": -0.0}).run_seconds) == "0.0"


@pytest.mark.parametrize(
    ("model", "hardware"),
    [
        ("simpletuner/advanced-trainer-h100", "gpu-h100"),
        ("simpletuner/advanced-trainer-h100-x2", "gpu-h100-2x"),
        ("simpletuner/advanced-trainer-h100-x8", "gpu-h100-8x"),
        ("simpletuner/advanced-trainer-l40s", "gpu-l40s"),
        ("simpletuner/advanced-trainer-l40s-x2", "gpu-2x-l40s"),
        ("simpletuner/advanced-trainer-l40s-x4", "gpu-4x-l40s"),
        ("simpletuner/advanced-trainer-l40s-x8", "gpu-8x-l40s"),
        ("simpletuner/advanced-trainer-h100-x3", None),
        ("simpletuner/advanced-trainer-a100", None),
        ("simpletuner/advanced-trainer", None),
        ("somebody/advanced-trainer-h100", None),
        ("simpletuner/advanced-trainer-h100-fork", None),
        ("evil/simpletuner/advanced-trainer-h100", None),
        ("simpletuner/advanced-trainer-h100\n", None),
        ("ostris/flux-dev-lora-trainer", None),
        ("stability-ai/sdxl", None),
        ("", None),
        (None, None),
        (5, None),
    ],
)
def test_hardware_is_known_of_simpletuners_own_trainers_only(model: object, hardware: str | None) -> None:
    assert job(model=model).hardware == hardware


@pytest.mark.parametrize(
    ("error", "text"),
    [
        pytest.param("E1001 out of memory", "E1001 out of memory", id="a text"),
        pytest.param(
            {"code": 5, "hf_token": "geheim"}, '{"code": 5, "hf_token": "\\u2022\\u2022\\u2022\\u2022"}', id="an object"
        ),
        pytest.param(f"bad token {HF_TOKEN}", "bad token ••••", id="a secret inside"),
        pytest.param("", None, id="empty"),
        pytest.param(None, None, id="null"),
        pytest.param(False, None, id="false"),
        pytest.param({}, None, id="an empty object"),
    ],
)
def test_error_is_told_in_words(error: object, text: str | None) -> None:
    assert job(status="failed", error=error).error == text


def test_long_error_is_cut() -> None:
    assert len(job(status="failed", error="x" * 100_000).error or "") == 20_000


@pytest.mark.parametrize(
    ("output", "url"),
    [
        pytest.param("https://replicate.delivery/a.tar", "https://replicate.delivery/a.tar", id="a text"),
        pytest.param(["https://r.example/1.png", "https://r.example/2.png"], "https://r.example/1.png", id="a list"),
        pytest.param(
            {"version": "a/b:c", "weights": "https://r.example/w.tar", "url": "https://r.example/u"},
            "https://r.example/w.tar",
            id="weights before all",
        ),
        pytest.param({"url": "https://r.example/u"}, "https://r.example/u", id="a url"),
        pytest.param({"log": "x", "file": "https://r.example/f"}, "https://r.example/f", id="another key"),
        pytest.param("a boat on a lake", None, id="a sentence"),
        pytest.param(["a ", "https://r.example/"], None, id="a list of words"),
        pytest.param([], None, id="an empty list"),
        pytest.param({}, None, id="an empty object"),
        pytest.param({"weights": None}, None, id="no weights"),
        pytest.param(5, None, id="a number"),
        pytest.param("javascript:alert(1)", None, id="a script"),
        pytest.param("data:image/png;base64,AAAA", None, id="data"),
        pytest.param("file:///etc/passwd", None, id="a local file"),
        pytest.param("https://", None, id="no host"),
        pytest.param("https://[", None, id="a broken host"),
        pytest.param("https://r.example/\x00", None, id="a NUL"),
        pytest.param("https://r.example/\ud800", None, id="a lone surrogate"),
        pytest.param("https://r.example/a b", None, id="a blank"),
        pytest.param("https://r.example/a\nb", None, id="a line end"),
        pytest.param(f"https://r.example/?token={HF_TOKEN}", None, id="a secret"),
        pytest.param("https://r.example/" + "x" * 2000, None, id="too long"),
    ],
)
def test_output_is_a_web_address_or_not_said(output: object, url: str | None) -> None:
    assert job(output=output).output_url == url


@pytest.mark.parametrize(
    ("inputs", "name"),
    [
        pytest.param(
            {"config_name": "a", "tracker_run_name": "b", "model_name": "c"}, "a", id="the configuration first"
        ),
        pytest.param({"tracker_run_name": "b", "model_name": "c"}, "b", id="then the tracker's run"),
        pytest.param({"config_name": "", "model_name": "c"}, "c", id="an empty one is none"),
        pytest.param({"config_name": 5}, None, id="a number is none"),
        pytest.param({"config_name": "x" * 1000}, "x" * 255, id="as long as the column"),
        pytest.param("config", None, id="input that is no object"),
        pytest.param(None, None, id="no input"),
    ],
)
def test_job_is_named_by_its_input(inputs: object, name: str | None) -> None:
    assert job(input=inputs).name == name


@pytest.mark.parametrize("token", [HF_TOKEN, R8_TOKEN, SK_TOKEN], ids=["Hugging Face", "Replicate", "sk"])
def test_known_tokens_are_masked_wherever_they_stand(token: str) -> None:
    snapshot = job(
        logs=f"login {token} ok\nexport T={token}",
        error=f"refused {token}",
        model=token,
        version=token,
        status=f"{token}",
        input={
            "config_name": f"run {token}",
            "args": ["--x", f"--token={token}"],
            token: "as a key",
            "deep": {"a": token},
        },
        urls={"web": f"https://replicate.com/{token}"},
        output=[f"https://r.example/{token}"],
    )
    assert token not in repr(snapshot)
    assert snapshot.logs == "login •••• ok\nexport T=••••"


@pytest.mark.parametrize("limit_name", ["MAX_TEXT_CHARACTERS", "a name's 255"])
def test_token_at_the_place_of_the_cut_leaves_no_beginning_behind(limit_name: str) -> None:
    limit = cleaning.MAX_TEXT_CHARACTERS if limit_name == "MAX_TEXT_CHARACTERS" else 255
    text = "x" * (limit - 15) + " " + HF_TOKEN
    snapshot = job(input={"config_name": text, "prompt": text}, model=text, error=text)
    assert "hf_abc" not in repr(snapshot)


@pytest.mark.parametrize(
    "key",
    ["hf_token", "HF_TOKEN", "hub-token", "token", "wandb_api_key", "api-key", "apiKey", "aws_secret_access_key",
     "password", "db_passwd", "client_secret", "credentials", "Authorization", "private_key"],
)  # fmt: skip
@pytest.mark.parametrize(
    "value", ["short", ["a1", "b2"], {"user": "a1"}, 123_456], ids=["text", "list", "object", "number"]
)
def test_values_under_secret_keys_are_masked_whole(key: str, value: object) -> None:
    assert shown({key: value}) == {key: "••••"}
    assert shown({"config": [{key: value}]}) == {"config": [{key: "••••"}]}


@pytest.mark.parametrize(
    "inputs",
    [
        {"token_string": "TOK"},
        {"max_tokens": 512},
        {"tokenizer": "t5"},
        {"hf_token": ""},
        {"hf_token": None},
        {"use_auth_token": False},
        {"prompt": "the secret of the sea", "steps": 1000, "lr": 1e-4, "flip": True, "seed": None},
    ],
)
def test_harmless_inputs_are_shown_as_they_are(inputs: dict[str, Any]) -> None:
    assert shown(inputs) == inputs


def test_data_url_is_shortened_to_its_type() -> None:
    assert shown({"image": "data:image/png;base64," + "A" * 100_000}) == {"image": "data:image/png;base64,…"}


def test_long_text_of_the_input_is_cut() -> None:
    assert shown({"prompt": "x" * 5000}) == {"prompt": "x" * 2000}


def test_bulky_input_keeps_its_small_values() -> None:
    bulk = {f"text{number}": "x" * 1999 for number in range(20)}
    assert shown({"steps": 1000, **bulk, "rank": 16}) == {"steps": 1000, "rank": 16}


def test_input_of_very_many_values_is_cut() -> None:
    found = shown({f"key{number}": "x" * 100 for number in range(10_000)})
    assert 1 < len(found) < 200
    assert len(json.dumps(found)) < 20_000


def test_input_with_huge_keys_is_cut() -> None:
    assert len(json.dumps(shown({"k" * 1_000_000: {"d" * 1_000_000: 1}}))) < 1000


def test_deep_input_is_cut_off() -> None:
    deep: Any = "bottom"
    for _ in range(500):
        deep = {"a": [deep]}
    assert "bottom" not in json.dumps(shown({"deep": deep}))


def test_deep_error_and_status_are_told_without_being_followed() -> None:
    deep: Any = "bottom"
    for _ in range(900):
        deep = [deep]
    snapshot = job(error=deep, status=deep)
    assert snapshot.status is None
    assert "bottom" not in f"{snapshot.error}{snapshot.raw_status}"


def test_numbers_that_json_cannot_carry_are_not_kept_as_numbers() -> None:
    found = shown({"lr": math.inf, "decay": math.nan, "seed": 2**70, "small": -(2**62)})
    assert found == {"lr": None, "decay": None, "seed": str(2**70), "small": -(2**62)}


@pytest.mark.parametrize(
    ("urls", "web"),
    [
        ({"web": "https://replicate.com/p/abc"}, "https://replicate.com/p/abc"),
        ({"web": "https://replicate.com.evil.example/"}, None),
        ({"web": "javascript:alert(1)"}, None),
        ({"web": "https://replicate.com/\u202e"}, None),
        ({"web": 5}, None),
        ({"get": "https://api.replicate.com/v1/predictions/abc"}, None),
        ([], None),
        (None, None),
    ],
)
def test_page_link_leads_to_replicate_only(urls: object, web: str | None) -> None:
    assert job(urls=urls).metadata.get("web_url") == web


def test_metadata_holds_nothing_empty() -> None:
    assert job(model="", version=None, source=5, input={}, urls={}, data_removed=False, output={}).metadata == {}


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None), max_size=20)
    | st.sampled_from(["\x00", "\ud800", HF_TOKEN, R8_TOKEN, "https://r.example/\x00", "2026-11-20T10:00:00Z", 10**400])
)
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ("id", "status", "model", "version", "input", "output", "error", "logs", "source", "deployment", "deadline",
          "created_at", "started_at", "completed_at", "metrics", "urls", "data_removed")  # fmt: skip
JOBS = st.fixed_dictionaries(
    {"id": st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=30)},
    optional={field: ANY_JSON for field in FIELDS if field != "id"}
    | {"metrics": ANY_JSON | st.dictionaries(st.just("predict_time"), SCALARS)}
    | {"output": ANY_JSON | st.dictionaries(st.sampled_from(["version", "weights", "url"]), SCALARS)},
)


def strings_of(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in strings_of(part)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in strings_of(item)]
    return []


def assert_is_storable(snapshot: JobSnapshot) -> None:
    values = {name: getattr(snapshot, name) for name in JobSnapshot.__dataclass_fields__}
    for text in strings_of(values):
        text.encode("utf-8")
        assert "\x00" not in text
        assert HF_TOKEN not in text
        assert R8_TOKEN not in text
    json.dumps(snapshot.metadata, allow_nan=False)
    assert len(snapshot.raw_status) <= 64
    assert len(snapshot.name or "") <= 255
    if snapshot.run_seconds is not None:
        assert math.isfinite(snapshot.run_seconds)
        assert snapshot.run_seconds >= 0
    for moment in (snapshot.created_at, snapshot.started_at, snapshot.completed_at):
        assert moment is None or moment.tzinfo is UTC


@given(ANY_JSON)
@settings(max_examples=150, deadline=None)
def test_any_json_is_read_or_refused_in_our_words(body: object) -> None:
    readers = (read, mapping.page, mapping.account, mapping.hardware)
    for reader in readers:
        try:
            reader(body)
        except UnexpectedPayload:
            continue


@given(JOBS)
@example({"id": "a", "input": {"x": "\x00\ud800", "\x00": {"\ud800": "\x00"}}, "logs": "\x00\ud800", "error": "\x00"})
@example({"id": "a", "output": "https://r.example/\x00", "metrics": {"predict_time": math.nan}, "model": "\x00"})
@settings(max_examples=200, deadline=None)
def test_any_job_can_be_stored_whatever_its_fields_hold(body: dict[str, Any]) -> None:
    assert_is_storable(read(body))


@given(st.sampled_from(FIELDS), ANY_JSON)
@settings(max_examples=150, deadline=None)
def test_one_field_of_a_wrong_type_does_not_spoil_the_others(field: str, value: object) -> None:
    try:
        snapshot = read(payload("training_succeeded", **{field: value}))
    except UnexpectedPayload:
        assert field == "id"
        return
    assert_is_storable(snapshot)
    if field != "status":
        assert snapshot.status is RemoteStatus.COMPLETED
    if field not in ("metrics", "status"):
        assert snapshot.run_seconds == 1800.507958653


@pytest.mark.parametrize(
    ("body", "rows", "following"),
    [
        ({"results": [], "next": None, "previous": None}, [], None),
        ({"results": [1, {"id": "a"}], "next": "https://x"}, [1, {"id": "a"}], "https://x"),
        ({"results": []}, [], None),
        ({"results": [], "next": ""}, [], None),
        ({"results": [], "next": 5}, [], None),
    ],
)
def test_page_gives_its_rows_unread_and_the_next_address(
    body: object, rows: list[object], following: str | None
) -> None:
    assert mapping.page(body) == (rows, following)


@pytest.mark.parametrize("body", [None, [], {}, {"results": None}, {"results": {}}, {"detail": "no"}])
def test_page_without_results_is_refused(body: object) -> None:
    with pytest.raises(UnexpectedPayload):
        mapping.page(body)


def test_account_is_read() -> None:
    body = {
        "type": "organization",
        "username": "acme",
        "name": "Acme Corp, Inc.",
        "github_url": "https://github.com/acme",
    }
    assert mapping.account(body) == Account(username="acme", kind="organization", name="Acme Corp, Inc.")


@pytest.mark.parametrize("body", [None, [], {}, {"username": ""}, {"username": 5}])
def test_account_without_a_name_is_refused(body: object) -> None:
    with pytest.raises(UnexpectedPayload):
        mapping.account(body)


def test_hardware_is_a_bare_list() -> None:
    rows = [{"sku": "cpu", "name": "CPU"}, {"sku": "gpu-h100"}, {"name": "nameless"}, 5, None, {"sku": 7}]
    assert mapping.hardware(rows) == [Hardware(sku="cpu", name="CPU"), Hardware(sku="gpu-h100", name="gpu-h100")]


@pytest.mark.parametrize("body", [None, {}, {"results": []}, "cpu"])
def test_hardware_that_is_no_list_is_refused(body: object) -> None:
    with pytest.raises(UnexpectedPayload):
        mapping.hardware(body)
