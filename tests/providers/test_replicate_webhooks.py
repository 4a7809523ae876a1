"""providers.replicate.webhooks: signatures by the published vectors, bodies by every shape that is sent."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

from providers.errors import InvalidWebhook, UnexpectedPayload
from providers.replicate import webhooks
from providers.sandbox.signing import PUBLISHED_TEST_SECRET, signature
from providers.snapshots import JobHint, JobSnapshot, RemoteStatus

FIXTURES = Path(__file__).parent.parent / "fixtures" / "webhooks"
VECTORS = json.loads((FIXTURES / "replicate_signature_vectors.json").read_text())
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
STAMP = int(NOW.timestamp())
OTHER_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
BODY = b'{"id": "qy2dts8twsrj20cjjnc87atzd0", "status": "processing"}'
JOB = "qy2dts8twsrj20cjjnc87atzd0"


def signed(
    body: bytes = BODY, *, webhook_id: str = "msg_1", stamp: int = STAMP, secret: str = PUBLISHED_TEST_SECRET
) -> dict[str, str]:
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(stamp),
        "webhook-signature": signature(secret, webhook_id, stamp, body),
    }


@pytest.fixture(autouse=True)
def _now(request: pytest.FixtureRequest) -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_published_vectors_are_judged_as_published(vector: dict[str, Any]) -> None:
    stamp = int(vector["headers"]["webhook-timestamp"])
    with time_machine.travel(datetime.fromtimestamp(stamp, UTC), tick=False):
        if not vector["valid"]:
            with pytest.raises(InvalidWebhook):
                webhooks.verify(vector["headers"], vector["body"].encode(), [vector["secret"]])
            return
        delivery = webhooks.verify(vector["headers"], vector["body"].encode(), [vector["secret"]])
    assert delivery.webhook_id == vector["headers"]["webhook-id"]
    assert delivery.sent_at.timestamp() == stamp


@pytest.mark.parametrize("offset", [-300, -299, 0, 299, 300])
def test_time_within_five_minutes_is_taken(offset: int) -> None:
    headers = signed(stamp=STAMP + offset)
    assert webhooks.verify(headers, BODY, [PUBLISHED_TEST_SECRET]).sent_at == NOW + timedelta(seconds=offset)


@pytest.mark.parametrize("offset", [-301, 301, -86_400, 10**9])
def test_time_beyond_five_minutes_is_refused_however_well_it_is_signed(offset: int) -> None:
    with pytest.raises(InvalidWebhook) as refused:
        webhooks.verify(signed(stamp=STAMP + offset), BODY, [PUBLISHED_TEST_SECRET])
    assert not refused.value.may_be_rotated


@pytest.mark.parametrize(
    "stamp",
    [
        "",
        f"{STAMP}.0",
        f"{STAMP}.5",
        f" {STAMP}",
        f"{STAMP}\n",
        f"+{STAMP}",
        f"0{STAMP}",
        f"-{STAMP}",
        "1e9",
        "1e400",
        "nan",
        "inf",
        "0x6",
        "1_000",
        "9" * 30,
        "99999999999",
        "١٧٠٠",
    ],
)
def test_time_that_is_no_whole_number_of_seconds_is_refused(stamp: str) -> None:
    # Signed over the very text, and over the number it stands for: neither may help.
    for text in (stamp, str(STAMP)):
        headers = signed() | {"webhook-timestamp": stamp, "webhook-signature": _signature_over(text)}
        with pytest.raises(InvalidWebhook):
            webhooks.verify(headers, BODY, [PUBLISHED_TEST_SECRET])


def _signature_over(stamp: str) -> str:
    return signature(PUBLISHED_TEST_SECRET, "msg_1", stamp, BODY)  # type: ignore[arg-type]


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_missing_header_is_refused(missing: str) -> None:
    headers = signed()
    del headers[missing]
    with pytest.raises(InvalidWebhook):
        webhooks.verify(headers, BODY, [PUBLISHED_TEST_SECRET])


def test_one_altered_byte_is_refused_anywhere_in_the_body() -> None:
    headers = signed()
    for at in range(len(BODY)):
        altered = BODY[:at] + bytes([BODY[at] ^ 1]) + BODY[at + 1 :]
        with pytest.raises(InvalidWebhook):
            webhooks.verify(headers, altered, [PUBLISHED_TEST_SECRET])


def test_id_and_time_are_signed_too() -> None:
    for changed in ({"webhook-id": "msg_2"}, {"webhook-timestamp": str(STAMP + 1)}):
        with pytest.raises(InvalidWebhook):
            webhooks.verify(signed() | changed, BODY, [PUBLISHED_TEST_SECRET])


@pytest.mark.parametrize(
    "mangled",
    [
        "{}",
        "v0,{mac}",
        "v1a,{mac}",
        "v2,{mac}",
        "{mac}",
        "v1 {mac}",
        "v1,",
        "v1,{mac},{mac}",
        "v1,{mac}x",
        "v1,!{mac}",
        "v1,%%%",
        "v1,é",
        "v1,\x00",
        ",",
        " ",
        "v1,{half}",
        "v1," + "A" * 43 + "=",
    ],
)
def test_every_kind_of_bad_signature_is_the_same_refusal(mangled: str) -> None:
    mac = signed()["webhook-signature"].removeprefix("v1,")
    headers = signed() | {"webhook-signature": mangled.replace("{mac}", mac).replace("{half}", mac[:20])}
    with pytest.raises(InvalidWebhook):
        webhooks.verify(headers, BODY, [PUBLISHED_TEST_SECRET])


@pytest.mark.parametrize(
    "listed", ["{bad} {good}", "{good} {bad}", "v2,x {bad} v1a,a,b {good}", "nonsense  {good}", "v1,é {good}"]
)
def test_one_good_signature_in_a_list_is_enough(listed: str) -> None:
    bad = signature(OTHER_SECRET, "msg_1", STAMP, BODY)
    text = listed.replace("{bad}", bad).replace("{good}", signed()["webhook-signature"])
    assert webhooks.verify(signed() | {"webhook-signature": text}, BODY, [PUBLISHED_TEST_SECRET])


def test_any_of_our_secrets_is_enough() -> None:
    headers = signed(secret=OTHER_SECRET)
    assert webhooks.verify(headers, BODY, [PUBLISHED_TEST_SECRET, OTHER_SECRET])
    with pytest.raises(InvalidWebhook) as refused:
        webhooks.verify(headers, BODY, [PUBLISHED_TEST_SECRET])
    assert refused.value.may_be_rotated


@pytest.mark.parametrize("webhook_id", ["", " ", "a b", "msg\n", "é", "m" * 256, "msg\x00"])
def test_id_that_cannot_be_kept_is_refused(webhook_id: str) -> None:
    with pytest.raises(InvalidWebhook):
        webhooks.verify(signed(webhook_id=webhook_id), BODY, [PUBLISHED_TEST_SECRET])


@pytest.mark.parametrize("body", [b"", b"\xff\xfe\x00", b'{"logs": "\xc3"}', bytes(range(256)), "ü".encode()])
def test_signature_is_checked_over_the_bytes_whatever_they_are(body: bytes) -> None:
    assert webhooks.verify(signed(body), body, [PUBLISHED_TEST_SECRET])
    with pytest.raises(InvalidWebhook):
        webhooks.verify(signed(body), body + b" ", [PUBLISHED_TEST_SECRET])


def test_header_names_are_taken_in_any_case() -> None:
    headers = {name.title(): value for name, value in signed().items()}
    assert webhooks.verify(headers, BODY, [PUBLISHED_TEST_SECRET])


@pytest.mark.parametrize("secret", [None, "", 5, "whsec_", "whsec_é", "whsec_a"])
def test_secret_that_is_none_is_refused_and_not_repeated(secret: object) -> None:
    with pytest.raises(UnexpectedPayload) as refused:
        webhooks.check_secret(secret)
    assert "whsec" not in str(refused.value)


def read(body: bytes | str | dict[str, Any]) -> JobSnapshot | JobHint:
    raw = json.dumps(body).encode() if isinstance(body, dict) else body.encode() if isinstance(body, str) else body
    return webhooks.read(raw, sent_at=NOW)


def test_replicates_own_body_is_a_report_as_of_its_sending() -> None:
    bodies = json.loads((FIXTURES / "replicate_training_delivery_sequence.json").read_text())["deliveries"]
    reports = [read(body) for body in bodies]
    assert all(isinstance(report, JobSnapshot) for report in reports)
    first = reports[0]
    assert isinstance(first, JobSnapshot)
    assert (first.external_id, first.status, first.as_of) == (JOB, RemoteStatus.RUNNING, NOW)
    # Its URLs say "predictions", and it is a training.
    assert first.kind is None


@pytest.mark.parametrize(
    ("body", "ids", "event"),
    [
        ({"event_type": "training.status", "job_id": JOB, "status": "running"}, (JOB,), "training.status"),
        ({"event_type": "completed", "prediction_id": JOB, "job_id": "ours1"}, (JOB, "ours1"), "completed"),
        ({"event_type": "completed", "prediction_id": JOB, "job_id": JOB}, (JOB,), "completed"),
        ({"event_type": "x" * 900, "job_id": JOB}, (JOB,), "x" * 64),
        ({"event_type": {"a": 1}, "job_id": JOB}, (JOB,), '{"a": 1}'),
        ({"event_type": "failed", "id": "other", "job_id": JOB, "status": "failed"}, (JOB, "other"), "failed"),
        ({"id": JOB}, (JOB,), '""'),
        ({"id": JOB, "status": None}, (JOB,), '""'),
        ({"id": JOB, "status": 7}, (JOB,), '""'),
    ],
)
def test_a_trainers_body_is_a_hint_and_never_a_status(body: dict[str, Any], ids: tuple[str, ...], event: str) -> None:
    assert read(body) == JobHint(job_ids=ids, event=event.replace('""', ""))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'["id"]',
        b"5",
        b'"text"',
        b"{}",
        b'{"id": 5, "status": "failed"}',
        b'{"id": "../../account", "status": "failed"}',
        b'{"id": "", "status": "failed"}',
        b'{"id": "\\ud800", "status": "failed"}',
        b'{"id": "a\\u0000b", "status": "failed"}',
        b'{"id": "%s", "status": "failed"}' % (b"a" * 10_000),
        b'{"event_type": "completed"}',
        b'{"event_type": "completed", "job_id": "a/b"}',
        b'{"id": "abc", "status": "failed", "status": "succeeded"}',
        b'{"id": "abc", "status": "failed", "metrics": {"predict_time": NaN}}',
        b'{"id": "abc", "status": "failed", "metrics": {"predict_time": -Infinity}}',
        b'{"id": "abc", "status": "failed", "n": %s}' % (b"9" * 5000),
        b'{"id": "abc", "status": "failed", "x": %s%s}' % (b"[" * 10_000, b"]" * 10_000),
        b'{"id": "abc", "status": "failed", "x": %s1%s}' % (b'{"a":' * 10_000, b"}" * 10_000),
        b"\xff\xfe{}",
        b"\x1f\x8b\x08\x00",
    ],
)
def test_what_has_no_single_meaning_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnexpectedPayload) as refused:
        read(body)
    assert len(str(refused.value)) < 100


def test_broken_characters_in_a_log_do_not_spoil_the_report() -> None:
    body = b'{"id": "abc", "status": "processing", "logs": "cut \\ud83d nul \\u0000 raw \x01 bytes \xff end"}'
    report = read(body)
    assert isinstance(report, JobSnapshot)
    assert report.logs is not None
    assert report.logs.endswith("end")
    assert "\x00" not in report.logs
    report.logs.encode()
