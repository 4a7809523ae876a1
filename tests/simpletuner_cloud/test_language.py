"""Which language an answer speaks, and that no copy of it is shown in another one."""

import json
import re

import pytest
from django.conf import settings
from django.test import Client
from django.utils import translation

from tests.conftest import MakeJob

pytestmark = pytest.mark.django_db

HINDI = {"Accept-Language": "hi-IN,hi;q=0.9,en;q=0.5"}
DEVANAGARI = re.compile(r"[\u0900-\u097f]")


@pytest.fixture
def hindi(client: Client) -> Client:
    """Somebody who has chosen Hindi."""
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = "hi"
    return client


def body(client: Client, path: str, **options: object) -> str:
    return client.get(path, **options).content.decode()  # type: ignore[arg-type]


def test_page_speaks_what_the_browser_prefers(client: Client) -> None:
    assert '<html lang="hi"' in body(client, "/", headers=HINDI)
    assert '<html lang="en"' in body(client, "/", headers={"Accept-Language": "de, fr;q=0.5"})
    assert '<html lang="en"' in body(client, "/")


def test_choice_is_kept_and_wins_over_the_browser(client: Client) -> None:
    answer = client.post("/look", {"language": "hi", "next": "/?status=failed"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/?status=failed")
    cookie = answer.cookies[settings.LANGUAGE_COOKIE_NAME]
    assert (cookie["max-age"], cookie["httponly"], cookie["samesite"]) == (365 * 24 * 3600, True, "Lax")
    assert '<html lang="hi"' in body(client, "/", headers={"Accept-Language": "en"})
    client.post("/look", {"language": "en", "next": "/"})
    assert '<html lang="en"' in body(client, "/", headers=HINDI)


@pytest.mark.parametrize("word", ["", "de", "../../etc", "hi-Latn"])
def test_language_that_is_not_offered_changes_nothing(client: Client, word: str) -> None:
    answer = client.post("/look", {"language": word, "next": "/"})
    assert settings.LANGUAGE_COOKIE_NAME not in answer.cookies


def test_each_language_is_named_in_itself(client: Client) -> None:
    page = body(client, "/")
    assert re.search(r'<button [^>]*value="hi" lang="hi" aria-pressed="false">हिन्दी</button>', page)
    assert re.search(r'<button [^>]*value="en" lang="en" aria-pressed="true">English</button>', page)


@pytest.mark.parametrize("path", ["/", "/fragments/jobs", "/queue", "/login", "/nowhere", "/admin/login/"])
def test_copies_are_told_apart_by_language(hindi: Client, path: str) -> None:
    answer = hindi.get(path)
    assert answer.headers["Content-Language"] == "hi"
    assert {"Accept-Language", "Cookie"} <= set(re.split(r",\s*", answer.headers["Vary"]))


def test_part_of_a_page_is_in_the_language_of_the_page(hindi: Client, make_job: MakeJob) -> None:
    make_job(status="failed")
    assert "विफल" in body(hindi, "/fragments/jobs")
    assert "Failed" in body(hindi, "/fragments/jobs", headers={"Page-Language": "en"})
    assert "विफल" in body(hindi, "/fragments/jobs", headers={"Page-Language": "de"})
    assert "Page-Language" in hindi.get("/fragments/jobs").headers["Vary"]
    # A whole page is what its reader has chosen.
    assert '<html lang="hi"' in body(hindi, "/", headers={"Page-Language": "en"})


@pytest.mark.parametrize(
    "path",
    [
        "/api/cloud/jobs",
        "/api/cloud/jobs?limit=many",
        "/api/cloud/jobs/none",
        "/api/cloud/metrics",
        "/api/cloud/health",
        "/api/cloud/providers",
        "/api/cloud/providers/none/config",
        "/api/queue",
        "/api/queue/stats",
        "/api/configs/none",
        "/api/nowhere",
        "/api/schema",
        "/jobs.csv",
    ],
)
def test_programs_read_english_whoever_asks(client: Client, make_job: MakeJob, path: str) -> None:
    make_job(status="pending", external_id=None, job_id="waits")
    make_job(status="failed", error_message="out of memory", config_name="one")
    plain = client.get(path)
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = "hi"
    asked = client.get(path, headers={**HINDI, "Page-Language": "hi"})
    text = b"".join(asked) if asked.streaming else asked.content
    assert not DEVANAGARI.search(text.decode())
    assert asked.status_code == plain.status_code
    assert "Content-Language" not in asked.headers
    assert "Accept-Language" not in asked.headers.get("Vary", "")


def test_errors_of_the_api_are_english_word_for_word(hindi: Client, make_job: MakeJob) -> None:
    job = make_job(status="completed")
    refused = hindi.post(f"/api/cloud/jobs/{job.job_id}/cancel", headers=HINDI)
    assert refused.json()["detail"] == "The job has already ended (completed)."
    wrong = hindi.post("/api/cloud/jobs/submit", "[]", content_type="application/json", headers=HINDI)
    assert not DEVANAGARI.search(wrong.content.decode())


def test_next_request_of_the_thread_begins_in_english(hindi: Client) -> None:
    hindi.get("/")
    assert translation.get_language() == "en"


def catalogue_address(page: str) -> str:
    found = re.search(r'<script src="([^"]*i18n\.js\?[^"]*)"', page)
    assert found
    return found[1].replace("&amp;", "&")


def test_texts_of_scripts_may_be_kept_for_ever_under_their_own_address(hindi: Client) -> None:
    address = catalogue_address(body(hindi, "/"))
    hindi.cookies.clear()
    answer = hindi.get(address)
    assert "immutable" in answer.headers["Cache-Control"]
    assert "Vary" not in answer.headers
    assert answer.headers["Content-Language"] == "hi"
    assert json.dumps("जॉब")[1:-1] in answer.content.decode()
    assert catalogue_address(body(hindi, "/")) != address


def test_texts_of_scripts_under_an_old_address_are_not_kept(client: Client) -> None:
    answer = client.get("/i18n.js?language=hi&v=old")
    assert answer.headers["Cache-Control"] == "no-cache"
    assert "Accept-Language" in client.get("/i18n.js").headers["Vary"]
