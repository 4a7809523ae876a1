import pytest
from django.test import Client
from pytest_django import Settings

from jobs.presentation.links import link
from tests.conftest import MakeJob


@pytest.mark.parametrize(
    "address",
    [
        "https://replicate.com/p/abc",
        "https://replicate.delivery/out.tar",
        "https://pbxt.replicate.delivery/a/b.tar?x=1",
        "https://huggingface.co/someone/model",
        "http://127.0.0.1:8899/output.zip",
    ],
)
def test_known_places_are_linked(settings: Settings, address: str) -> None:
    settings.PROVIDERS = {"replicate": {"token": "t", "base_url": "http://127.0.0.1:8899"}}
    assert link(address, "replicate") == address


@pytest.mark.parametrize(
    "address",
    [
        "http://replicate.delivery/out.tar",
        "https://evil.example/out.tar",
        "https://replicate.delivery.evil.example/",
        "https://evilreplicate.delivery/",
        "https://replicate.com.evil.example/",
        "https://replicate.com@evil.example/",
        "https://replicate.com:x/",
        "https://evil.example\\@replicate.com/",
        "https://evil.example\\.replicate.delivery/",
        "https://evil.example /.replicate.delivery/",
        "https://[::1/",
        "javascript:alert(1)//https://replicate.com/",
        "JaVaScRiPt:alert(1)",
        "java\tscript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        "//replicate.com/",
        "/jobs/1",
        "http://127.0.0.1:8898/",
        'https://replicate.com/"onclick="alert(1)',
        "https://replicate.com/\u202egpj.exe",
        "",
        None,
        5,
        ["https://replicate.com/"],
    ],
)
def test_everything_else_is_text(settings: Settings, address: object) -> None:
    settings.PROVIDERS = {"replicate": {"token": "t", "base_url": "http://127.0.0.1:8899"}}
    assert link(address, "replicate") == ""
    assert link(address, "bygone") == ""


@pytest.mark.django_db
def test_output_elsewhere_is_shown_and_not_linked(client: Client, make_job: MakeJob) -> None:
    address = "https://elsewhere.example/out.tar?<b>"
    job = make_job(status="completed", output_url=address, metadata={"web_url": "https://elsewhere.example/p"})
    page = client.get(f"/jobs/{job.job_id}").content.decode()
    assert "no link leads there" in page
    assert "https://elsewhere.example/out.tar?&lt;b&gt;" in page
    assert 'href="https://elsewhere' not in page
