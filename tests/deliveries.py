"""Webhooks as a provider would send them, for the tests."""

import json
import time
from typing import Any

import requests

from providers.sandbox.signing import PUBLISHED_TEST_SECRET, signature

PATH = "/api/webhooks/replicate"


def body_of(job_id: str, status: str = "processing", **facts: Any) -> bytes:
    """Replicate's own body for a job."""
    return json.dumps({"id": job_id, "status": status, **facts}).encode()


def signed(
    body: bytes,
    *,
    webhook_id: str = "msg_1",
    secret: str = PUBLISHED_TEST_SECRET,
    stamp: int | None = None,
) -> dict[str, str]:
    """The headers of a delivery that is sent now, or at ``stamp`` (seconds)."""
    stamp = int(time.time()) if stamp is None else stamp
    return {
        "content-type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(stamp),
        "webhook-signature": signature(secret, webhook_id, stamp, body),
    }


def deliver(web: str, body: bytes, *, path: str = PATH, **arguments: Any) -> requests.Response:
    """Send a delivery to the running product."""
    return requests.post(web + path, data=body, headers=signed(body, **arguments), timeout=30, allow_redirects=False)
