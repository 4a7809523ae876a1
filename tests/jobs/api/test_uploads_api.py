"""/api/cloud/uploads: dataset archives in, by the real web server where it matters how they travel."""

import hashlib
import io
import os
import resource
import socket
import tarfile
import threading
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from django.contrib.auth import get_user_model
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from jobs.access import Actor
from jobs.models import AuditEntry, DatasetArchive, JobSubmission, UnifiedJob
from jobs.services import archives, leftovers
from jobs.services.actors import owner_actor
from simpletuner_cloud import upload_bodies
from tests.conftest import MakeJob
from tests.jobs.submitting import CONFIG, actor_of_role, zip_bytes

UPLOADS = "/api/cloud/uploads"
Usage = namedtuple("Usage", "total used free")

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _clean_folder() -> Iterator[None]:
    yield
    for path in files():
        path.unlink()


@pytest.fixture
def act_as(monkeypatch: pytest.MonkeyPatch) -> Callable[[Actor], None]:
    def act(actor: Actor) -> None:
        monkeypatch.setattr("jobs.api.authentication.owner_actor", lambda **_: actor)

    return act


def files() -> list[Path]:
    folder = archives.archives_folder()
    return sorted(folder.iterdir()) if folder.is_dir() else []


def send(client: Client, content: bytes, status: int = 201, name: str = "set.zip") -> dict[str, Any]:
    answer = client.post(f"{UPLOADS}?name={name}", content, content_type="application/octet-stream")
    found: dict[str, Any] = answer.json()
    assert answer.status_code == status, found
    return found


def tar_bytes(mode: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        archive.addfile(tarfile.TarInfo("images/1.png"))
    return buffer.getvalue()


@pytest.mark.parametrize("way", ["form", "body"])
def test_archive_is_kept_as_it_was_sent(client: Client, way: str) -> None:
    content = zip_bytes(300_000)
    if way == "form":
        answer = client.post(UPLOADS, {"file": SimpleUploadedFile("my set.zip", content)})
        assert answer.status_code == 201
        taken = answer.json()
    else:
        taken = send(client, content, name="C:\\data\\my set.zip")
    digest = hashlib.sha256(content).hexdigest()
    assert taken | {"upload_id": ""} == {
        "upload_id": "",
        "name": "my set.zip",
        "size_bytes": len(content),
        "sha256": digest,
    }
    archive = DatasetArchive.objects.get(archive_id=taken["upload_id"])
    assert archive.owner_id == owner_actor().user_id
    assert archive.path.read_bytes() == content
    assert files() == [archive.path]
    state = client.get(f"{UPLOADS}/{archive.archive_id}").json()
    assert (state["sent_bytes"], state["handed_on"], state["is_kept"]) == (0, False, True)
    assert AuditEntry.objects.get(action="upload.create").target == archive.archive_id


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar_archives_are_taken_whatever_they_are_packed_with(client: Client, mode: str) -> None:
    send(client, tar_bytes(mode), name="set.tar")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"#!/bin/sh\nrm -rf /\n", id="a script"),
        pytest.param(b"P", id="one byte"),
        pytest.param(b"%PDF-1.7" + b"x" * 1000, id="a document"),
        pytest.param(b"\x00" * 1000, id="zeros"),
    ],
)
def test_what_is_no_archive_by_its_first_bytes_is_refused_and_not_kept(client: Client, content: bytes) -> None:
    assert send(client, content, 415, name="set.zip")["code"] == "not_an_archive"
    form = client.post(UPLOADS, {"file": SimpleUploadedFile("set.zip", content)})
    assert (form.status_code, form.json()["code"]) == (415, "not_an_archive")
    assert files() == []
    assert not DatasetArchive.objects.exists()


def test_form_without_the_file_and_body_without_a_length_are_refused(client: Client) -> None:
    missing = client.post(UPLOADS, {"other": SimpleUploadedFile("set.zip", zip_bytes())})
    assert (missing.status_code, list(missing.json()["errors"])) == (400, ["file"])
    assert send(client, b"", 411)["code"] == "length_required"
    assert files() == []


@pytest.mark.parametrize("way", ["form", "body"])
def test_archive_that_grows_too_large_is_refused_and_nothing_is_left(
    client: Client, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(archives, "MAX_ARCHIVE_BYTES", 100_000)
    content = zip_bytes(150_000)
    if way == "form":
        answer = client.post(UPLOADS, {"file": SimpleUploadedFile("set.zip", content)})
        assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_large")
    else:
        assert send(client, content, 413)["code"] == "upload_too_large"
    assert files() == []
    assert not DatasetArchive.objects.exists()


def test_full_disk_is_told_before_anything_is_written(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(1000, 1000, archives.KEPT_FREE_BYTES))
    refused = send(client, zip_bytes(), 507)
    assert (refused["code"], "room" in refused["detail"]) == ("no_room", True)
    assert files() == []


def test_disk_that_fills_up_meanwhile_leaves_nothing(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert send(client, zip_bytes(), 507)["code"] == "no_room"
    assert files() == []
    assert not DatasetArchive.objects.exists()


def test_only_the_uploader_has_it(client: Client, act_as: Callable[[Actor], None]) -> None:
    ada, bob = (get_user_model().objects.create_user(name) for name in ("ada", "bob"))
    act_as(actor_of_role(ada, "researcher"))
    upload_id = send(client, zip_bytes())["upload_id"]
    act_as(actor_of_role(bob, "admin"))
    for answer in (client.get(f"{UPLOADS}/{upload_id}"), client.delete(f"{UPLOADS}/{upload_id}")):
        assert (answer.status_code, answer.json()["code"]) == (404, "upload_not_found")
    body = {"config": CONFIG, "upload_id": upload_id}
    refused = client.post("/api/cloud/jobs/submit", body, content_type="application/json")
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["upload_id"])
    act_as(actor_of_role(ada, "researcher"))
    done = client.post("/api/cloud/jobs/submit", body, content_type="application/json").json()
    assert done["data_uploaded"] is True


def test_upload_is_deleted_unless_a_job_needs_it(client: Client) -> None:
    unused, used = (send(client, zip_bytes())["upload_id"] for _ in range(2))
    body = {"config": CONFIG, "upload_id": used}
    client.post("/api/cloud/jobs/submit", body, content_type="application/json")
    assert client.delete(f"{UPLOADS}/{unused}").json() == {"success": True, "upload_id": unused}
    assert client.delete(f"{UPLOADS}/{used}").status_code == 409
    assert [path.name for path in files()] == [used]
    assert client.get(f"{UPLOADS}/{unused}").status_code == 404


def uploaded(client: Client, *, hours: float) -> DatasetArchive:
    """An archive that was uploaded so long ago."""
    archive = DatasetArchive.objects.get(archive_id=send(client, zip_bytes())["upload_id"])
    archive.created_at = timezone.now() - timedelta(hours=hours)
    archive.save()
    return archive


def use(archive: DatasetArchive, job: UnifiedJob, *, hours: float) -> None:
    at = timezone.now() - timedelta(hours=hours)
    JobSubmission.objects.create(job=job, archive=archive, hardware_profile="h100", submitted_at=at)


def test_unused_archives_are_deleted_after_a_day(client: Client) -> None:
    old, young = uploaded(client, hours=25), uploaded(client, hours=23)
    leftovers.prune()
    assert files() == [young.path]
    assert not DatasetArchive.objects.filter(pk=old.pk).exists()


def test_used_archives_are_kept_until_a_day_after_their_last_job(client: Client, make_job: MakeJob) -> None:
    running, just_ended, long_ended = (uploaded(client, hours=100) for _ in range(3))
    use(running, make_job(status="running"), hours=99)
    use(running, make_job(status="failed", completed_at=timezone.now() - timedelta(hours=50)), hours=99)
    use(just_ended, make_job(status="failed", completed_at=timezone.now() - timedelta(hours=23)), hours=99)
    use(long_ended, make_job(status="completed", completed_at=timezone.now() - timedelta(hours=25)), hours=99)
    leftovers.prune()
    assert set(files()) == {running.path, just_ended.path}
    long_ended.refresh_from_db()
    assert long_ended.deleted_at is not None
    assert client.get(f"{UPLOADS}/{long_ended.archive_id}").json()["is_kept"] is False


def test_files_that_nobody_knows_are_deleted_after_a_day(client: Client) -> None:
    kept = uploaded(client, hours=0)
    stray, young = (archives.archives_folder() / f"{name}.incoming" for name in ("old", "young"))
    for path, hours in ((stray, 25), (young, 1), (kept.path, 25)):
        path.touch()
        os.utime(path, (time.time() - hours * 3600,) * 2)
    leftovers.prune()
    assert set(files()) == {kept.path, young}


def test_forms_elsewhere_leave_no_file_on_the_disk(client: Client, make_job: MakeJob) -> None:
    job = make_job(status="failed")
    answer = client.post(f"/api/cloud/jobs/{job.job_id}/retry", {"file": SimpleUploadedFile("x.zip", zip_bytes())})
    assert answer.status_code == 409
    assert files() == []


# Through the real server


def announce(url: str, size: int, path: str = f"{UPLOADS}?name=x.zip") -> socket.socket:
    """Begin an upload of that size, and send nothing of it yet."""
    host = urlsplit(url)
    connection = socket.create_connection((host.hostname or "", host.port or 0), timeout=20)
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/zip\r\nContent-Length: {size}\r\n\r\n"
    connection.sendall(head.encode())
    return connection


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def pieces(count: int) -> Iterator[bytes]:
    yield zip_bytes()[:4] + b"\x00" * (1024 * 1024 - 4)
    for _ in range(count - 1):
        yield b"\x00" * 1024 * 1024


class Sized:
    """An upload of so many MiB that is made while it is sent."""

    def __init__(self, megabytes: int) -> None:
        self._megabytes = megabytes

    def __len__(self) -> int:
        return self._megabytes * 1024 * 1024

    def __iter__(self) -> Iterator[bytes]:
        return pieces(self._megabytes)


def test_hundred_megabytes_are_written_without_being_held_in_memory(web: str) -> None:
    requests.post(f"{web}{UPLOADS}?name=warm.zip", data=Sized(2), timeout=30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = requests.post(f"{web}{UPLOADS}?name=big.zip", data=Sized(100), timeout=60)
    assert answer.status_code == 201
    assert answer.json()["size_bytes"] == 100 * 1024 * 1024
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 30, f"memory grew by {grown:.0f} MiB"


def test_announced_size_beyond_the_limit_is_refused_before_anything_arrives(web: str) -> None:
    with announce(web, archives.MAX_ARCHIVE_BYTES + 1) as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")
    assert files() == []


def test_upload_that_breaks_off_leaves_nothing(web: str) -> None:
    with announce(web, 2_000_000) as connection:
        connection.sendall(zip_bytes(500_000))
        until(files)
    until(lambda: not files())
    assert not DatasetArchive.objects.exists()


def test_upload_that_stalls_is_given_up(web: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_bodies, "SILENCE_SECONDS", 0.3)
    with announce(web, 2_000_000) as connection:
        connection.sendall(zip_bytes(500_000))
        answer = b""
        while b"body_incomplete" not in answer:
            piece = connection.recv(65536)
            assert piece, answer
            answer += piece
    assert answer.startswith(b"HTTP/1.1 400")
    assert files() == []


def test_slow_uploads_hold_up_no_page(web: str) -> None:
    slow = [announce(web, 2_000_000) for _ in range(12)]
    try:
        for connection in slow:
            connection.sendall(zip_bytes(100_000))
        until(lambda: len(files()) >= 4)
        for path in ("/", "/api/cloud/jobs", "/api/cloud/health/live"):
            assert requests.get(web + path, timeout=5).status_code == 200
    finally:
        for connection in slow:
            connection.close()
    until(lambda: not files())


def test_uploads_at_once_do_not_mix(web: str) -> None:
    contents = [zip_bytes(200_000 + number) for number in range(6)]
    digests: list[str] = []

    def one(content: bytes) -> None:
        answer = requests.post(f"{web}{UPLOADS}", files={"file": ("x.zip", content)}, timeout=30)
        digests.append(answer.json()["sha256"])

    threads = [threading.Thread(target=one, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(digests) == sorted(hashlib.sha256(content).hexdigest() for content in contents)
