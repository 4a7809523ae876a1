"""A client of SimpleTuner Cloud in one file, with the standard library alone: copy it, import it, or run it.

It takes SIMPLETUNER_HOST, SIMPLETUNER_PORT, SIMPLETUNER_SSL_ENABLED and SIMPLETUNER_API_KEY.
"""

import argparse
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

Job = dict[str, Any]

ENDED = ("completed", "failed", "cancelled")
POLL_SECONDS = 3.0
# The server says something every 15 seconds: a stream that is silent for so long is dead.
SILENCE_SECONDS = 45.0
# A connection that is refused, lost or silent.
LOST = (OSError, http.client.HTTPException)


class CloudError(Exception):
    """The server refused; ``retry_after`` says after how many seconds it may be asked again."""

    def __init__(self, detail: str, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Event(NamedTuple):
    """``type`` is ``open`` when a stream begins, else what the server says; ``place`` is where to go on."""

    type: str
    job_id: str = ""
    place: str = ""


class Cloud:
    """A server, by its address and an API key if it asks for one."""

    def __init__(self, url: str = "", api_key: str = "") -> None:
        env = os.environ.get
        scheme = "https" if env("SIMPLETUNER_SSL_ENABLED") == "true" else "http"
        default = f"{scheme}://{env('SIMPLETUNER_HOST', 'localhost')}:{env('SIMPLETUNER_PORT', '8001')}"
        self.url, self.api_key = url or default, api_key or env("SIMPLETUNER_API_KEY", "")

    def jobs(self, status: str = "") -> list[Job]:
        return list(self._call("GET", f"/api/cloud/jobs?status={status}")["jobs"])

    def job(self, job_id: str) -> Job:
        return dict(self._call("GET", f"/api/cloud/jobs/{job_id}")["job"])

    def log(self, job_id: str) -> str:
        return str(self._call("GET", f"/api/cloud/jobs/{job_id}/logs")["logs"])

    def cancel(self, job_id: str) -> Job:
        return self._call("POST", f"/api/cloud/jobs/{job_id}/cancel")

    def submit(self, config: str, provider: str = "replicate") -> Job:
        """Submit a stored configuration. By the key, one that is sent twice is one job."""
        body = {"config_name_to_load": config, "idempotency_key": str(uuid.uuid4())}
        return self._call("POST", f"/api/cloud/jobs/submit?provider={provider}", body)

    def follow_log(self, job_id: str) -> Iterator[str]:
        """What the log gains, until the job has ended."""
        seen = ""
        while True:
            # In this order: what is read after the end is all there will be.
            has_ended = self.job(job_id)["status"] in ENDED
            log = self.log(job_id)
            yield log.removeprefix(seen)
            if has_ended:
                return
            seen = log
            time.sleep(POLL_SECONDS)

    def wait(self, job_id: str) -> Job:
        """The job when it has ended: an event tells, and while there is no stream it is looked at now and then."""
        place, stream_at = "", 0.0
        while True:
            try:
                for event in self.events(place) if time.monotonic() >= stream_at else ():
                    place = event.place or place
                    # What happened before the stream began is told by no event.
                    if event.type in ("open", "resync") or event.job_id == job_id:
                        job = self.job(job_id)
                        if job["status"] in ENDED:
                            return job
            except CloudError as error:
                if error.retry_after is None:
                    raise
                stream_at = time.monotonic() + error.retry_after
            except LOST:
                pass
            job = self.job(job_id)
            if job["status"] in ENDED:
                return job
            time.sleep(POLL_SECONDS)

    def events(self, place: str = "") -> Iterator[Event]:
        """One stream of events, beginning after ``place``. It ends, or raises, when the connection does."""
        headers = {"Last-Event-ID": place} if place else {}
        with self._open("GET", "/api/events", headers=headers, timeout=SILENCE_SECONDS) as stream:
            yield Event("open")
            data = ""
            for raw in stream:
                name, _, value = raw.decode().rstrip("\r\n").partition(":")
                if name == "id":
                    place = value.strip()
                elif name == "data":
                    data += value
                elif not name and not value:
                    found = json.loads(data or '{"type": "begin"}')
                    yield Event(found["type"], found.get("job_id", ""), place)
                    data = ""

    def _call(self, method: str, path: str, body: Job | None = None) -> Job:
        """Ask, and ask again if told when, or if the answer was lost of what may be sent twice: reading, submitting."""
        pauses = [1.0, 2.0, 4.0, 8.0]
        while True:
            try:
                with self._open(method, path, body) as answer:
                    return dict(json.load(answer))
            except CloudError as error:
                if error.retry_after is None or not pauses:
                    raise
                pauses[0] = error.retry_after
            except LOST:
                if (method != "GET" and body is None) or not pauses:
                    raise
            time.sleep(pauses.pop(0))

    def _open(
        self, method: str, path: str, body: Job | None = None, *, headers: Job | None = None, timeout: float = 30.0
    ) -> Any:
        data = None if body is None else json.dumps(body).encode()
        key = {"X-API-Key": self.api_key} if self.api_key else {}
        headers = {"Content-Type": "application/json", **key, **(headers or {})}
        try:
            return urllib.request.urlopen(
                urllib.request.Request(self.url + path, data, headers, method=method), None, timeout
            )
        except urllib.error.HTTPError as error:
            with error:
                seconds = error.headers.get("Retry-After", "")
                said = json.load(error) if "json" in error.headers.get("Content-Type", "") else {}
                raise CloudError(
                    said.get("detail", str(error)), float(seconds) if seconds.isdecimal() else None
                ) from None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=("list", "get", "submit", "wait", "logs", "cancel"))
    parser.add_argument("name", nargs="?", default="", help="a job's id; list: a status; submit: a configuration")
    parser.add_argument("--follow", action="store_true", help="logs: until the job has ended")
    asked, cloud = parser.parse_args(), Cloud()
    try:
        match asked.verb:
            case "list":
                for job in cloud.jobs(asked.name):
                    print(job["job_id"], job["status"], job["config_name"] or "-")
            case "get":
                print(json.dumps(cloud.job(asked.name), indent=2))
            case "submit":
                print(cloud.submit(asked.name)["job_id"])
            case "cancel":
                print(cloud.cancel(asked.name)["status"])
            case "logs":
                for text in cloud.follow_log(asked.name) if asked.follow else [cloud.log(asked.name)]:
                    print(text, end="", flush=True)
            case "wait":
                status = cloud.wait(asked.name)["status"]
                print(status)
                return int(status != "completed")
    except (CloudError, *LOST) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
