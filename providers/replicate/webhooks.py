"""Replicate's webhooks: Standard Webhooks signatures, and bodies -> snapshots. Pure.

https://replicate.com/docs/topics/webhooks, https://github.com/standard-webhooks/standard-webhooks
"""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import floor
from typing import Any

from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook, WebhookVerificationError, hmac_data

from providers.errors import InvalidWebhook, UnexpectedPayload
from providers.replicate import cleaning, mapping
from providers.snapshots import JobHint, JobSnapshot, SignedDelivery

ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER = "webhook-id", "webhook-timestamp", "webhook-signature"

# The library takes any float for a time, and what is no signature makes it raise whatever comes up. Both are kept
# from it: a time is a whole number of seconds as it was signed, a signature is base64 after its version.
WEBHOOK_ID = re.compile(r"[\x21-\x7e]{1,255}\Z")
TIMESTAMP = re.compile(r"[1-9][0-9]{0,10}\Z")
SIGNATURE = re.compile(r"v1,(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?\Z")

MAX_EVENT_CHARACTERS = 64
TRAINER_ID_KEYS = ("prediction_id", "job_id", "id")


class _RawWebhook(Webhook):
    """The library signs text in UTF-8; a body is any bytes, here as text of one character for each."""

    def sign(self, msg_id: str, timestamp: datetime, data: str) -> str:
        signed = f"{msg_id}.{floor(timestamp.timestamp())}.".encode() + data.encode("latin-1")
        return f"v1,{base64.b64encode(hmac_data(self._whsecret, signed)).decode()}"


def check_secret(secret: object) -> str:
    """Return a secret that signatures can be checked with. Raises ``UnexpectedPayload``, which does not repeat it."""
    if isinstance(secret, str) and secret:
        try:
            _RawWebhook(secret)
        except (ValueError, EmptyWebhookSecretError):
            # The cause would repeat it in a traceback.
            raise UnexpectedPayload("Replicate sent a webhook secret that is none.") from None
        return secret
    raise UnexpectedPayload("Replicate sent no webhook secret.")


def verify(headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> SignedDelivery:
    """Check the signature over the raw body, sent within five minutes before or after now.

    Any good signature of the list will do, by any of the secrets. Raises ``InvalidWebhook``.
    """
    found = {name.lower(): value for name, value in headers.items()}
    webhook_id, timestamp = found.get(ID_HEADER, ""), found.get(TIMESTAMP_HEADER, "")
    signatures = [item for item in found.get(SIGNATURE_HEADER, "").split(" ") if SIGNATURE.match(item)]
    if not WEBHOOK_ID.match(webhook_id) or not TIMESTAMP.match(timestamp) or not signatures:
        raise InvalidWebhook("The delivery has no usable signature headers.")
    sent_at = datetime.fromtimestamp(int(timestamp), UTC)
    signed = {ID_HEADER: webhook_id, TIMESTAMP_HEADER: timestamp, SIGNATURE_HEADER: " ".join(signatures)}
    text = body.decode("latin-1")
    problem = "The delivery was signed with no secret."
    for secret in secrets:
        try:
            _RawWebhook(secret).verify(text, signed, json_parse=False)
        except WebhookVerificationError as error:
            problem = str(error)
        else:
            return SignedDelivery(webhook_id=webhook_id, sent_at=sent_at)
    raise InvalidWebhook(problem, may_be_rotated=problem == "No matching signature found")


def read(body: bytes, *, sent_at: datetime) -> JobSnapshot | JobHint:
    """Read a verified body: Replicate's own, a job as a GET gives it, or a SimpleTuner trainer's, which is but a hint.

    A trainer names an event of its own, and its "completed" is not the run's end. Raises ``UnexpectedPayload``.
    """
    content = _content(body)
    event = content.get("event_type")
    if event is not None:
        return _hint(content, TRAINER_ID_KEYS, event)
    if not isinstance(content.get("status"), str):
        return _hint(content, ("id", *TRAINER_ID_KEYS), "")
    # The body does not tell a training from a prediction: the URLs in it are those of a prediction in either case.
    return mapping.snapshot(content, as_of=sent_at)


def _hint(content: Mapping[str, Any], keys: Sequence[str], event: object) -> JobHint:
    ids = [value for key in keys if isinstance(value := content.get(key), str) and mapping.ID.match(value)]
    if not ids:
        raise UnexpectedPayload("The delivery names no job.")
    return JobHint(job_ids=tuple(dict.fromkeys(ids)), event=cleaning.in_words(event, MAX_EVENT_CHARACTERS))


def _content(body: bytes) -> Mapping[str, Any]:
    try:
        # Logs hold raw control characters and cut characters; what is ambiguous is refused.
        content = json.loads(
            body.decode("utf-8", errors="replace"),
            strict=False,
            parse_constant=_refuse_constant,
            object_pairs_hook=_distinct,
        )
    except (ValueError, RecursionError) as error:
        raise UnexpectedPayload(f"The delivery is no JSON that has one meaning ({type(error).__name__}).") from None
    if not isinstance(content, dict):
        raise UnexpectedPayload("The delivery is no JSON object.")
    return content


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found
