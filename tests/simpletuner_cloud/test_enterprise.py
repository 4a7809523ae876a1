from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from jobs.webhook_url import check_webhook_url
from simpletuner_cloud import enterprise
from simpletuner_cloud.enterprise import EnterpriseConfig

DOCUMENTED = """
background:
  job_status_polling:
    enabled: true
    interval_seconds: 30
  queue_processing:
    enabled: true
    interval_seconds: 5
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "simpletuner-enterprise.yaml"


def load(file: Path, content: str) -> EnterpriseConfig:
    file.write_text(content, encoding="utf-8")
    return enterprise.load(file)


def test_documented_example_is_read(file: Path) -> None:
    assert load(file, DOCUMENTED) == EnterpriseConfig(
        job_polling_enabled=True,
        job_polling_interval=30.0,
        queue_processing_enabled=True,
        queue_processing_interval=5.0,
    )


@pytest.mark.parametrize("content", ["", "# nothing\n", "---\n", "null\n", "{}\n", "background:\n", "background: {}\n"])
def test_empty_file_says_nothing(file: Path, content: str) -> None:
    assert load(file, content) == EnterpriseConfig()


def test_missing_file_says_nothing(file: Path) -> None:
    assert enterprise.load(file) == EnterpriseConfig()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("background:\n  job_status_polling:\n    interval_seconds: 60\n", id="its documented place"),
        pytest.param("background:\n  job_status_polling:\n    job_polling_interval: 60\n", id="beside enabled"),
        pytest.param("background:\n  job_polling_interval: 60\n", id="in background"),
        pytest.param("job_polling_interval: 60\n", id="at the top"),
        pytest.param("job_polling_interval: 60.0\n", id="a fraction"),
    ],
)
def test_polling_interval_is_understood_at_its_places(file: Path, content: str) -> None:
    assert load(file, content) == EnterpriseConfig(job_polling_interval=60.0)


def test_most_specific_interval_wins(file: Path) -> None:
    content = """
job_polling_interval: 400
background:
  job_polling_interval: 300
  job_status_polling: {interval_seconds: 100, job_polling_interval: 200}
"""
    assert load(file, content).job_polling_interval == 100.0


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize(
    "content",
    [
        "background:\n  job_status_polling: {{enabled: {}}}\n",
        "background:\n  job_polling_enabled: {}\n",
        "job_polling_enabled: {}\n",
    ],
)
def test_polling_is_switched_at_its_places(file: Path, content: str, value: bool) -> None:
    assert load(file, content.format(str(value).lower())).job_polling_enabled is value


@pytest.mark.parametrize("value", ["0", "-5", "4.9", "fast", "1e9", "1.0e+9", "86401", ".nan", ".inf", "true", "[30]",
                                   "{a: 1}", '"30"', "9" * 500, "2026-11-20"])  # fmt: skip
@pytest.mark.parametrize(
    ("place", "setting"),
    [
        (
            "background: {{job_status_polling: {{interval_seconds: {}}}}}",
            "background.job_status_polling.interval_seconds",
        ),
        ("background: {{job_polling_interval: {}}}", "background.job_polling_interval"),
        ("job_polling_interval: {}", "job_polling_interval"),
    ],
)
def test_bad_polling_interval_stops_the_start_and_names_itself(
    file: Path, place: str, setting: str, value: str
) -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        load(file, place.format(value))
    expected = f"simpletuner-enterprise.yaml: {setting} must be a number of seconds between 5 and 86400; it is "
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize("value", ["0", "0.5", "-1", "often", "false"])
def test_bad_queue_interval_stops_the_start_and_names_itself(file: Path, value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"background\.queue_processing\.interval_seconds"):
        load(file, f"background: {{queue_processing: {{interval_seconds: {value}}}}}")


@pytest.mark.parametrize("value", ["maybe", "1", "0", '"true"', "[]", "2.5"])
@pytest.mark.parametrize("section", ["job_status_polling", "queue_processing"])
def test_bad_switch_stops_the_start_and_names_itself(file: Path, section: str, value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=rf"background\.{section}\.enabled must be true or false"):
        load(file, f"background: {{{section}: {{enabled: {value}}}}}")


@pytest.mark.parametrize("section", ["job_status_polling", "queue_processing"])
def test_misspelt_setting_stops_the_start_and_names_itself(file: Path, section: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=rf"background\.{section}\.intervall is not a known setting"):
        load(file, f"background: {{{section}: {{intervall: 30}}}}")


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("- a\n- b\n", "the document"),
        ("polling\n", "the document"),
        ("background: on and on\n", "background"),
        ("background: [job_status_polling]\n", "background"),
        ("background: {job_status_polling: true}\n", "background.job_status_polling"),
        ("background: {queue_processing: 5}\n", "background.queue_processing"),
        ("providers: replicate\n", "providers"),
        ("providers: {replicate: https://hooks.example}\n", "providers.replicate"),
    ],
)
def test_section_that_is_no_mapping_stops_the_start_and_names_itself(file: Path, content: str, place: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=rf"simpletuner-enterprise\.yaml: {place} must be a mapping"):
        load(file, content)


@pytest.mark.parametrize(
    "content", ["a: [", "a: b: c", "\t- x", "a: \x00", "a: !!python/object:os.system {}", "a: 2026-13-45"]
)
def test_invalid_yaml_stops_the_start_and_names_the_file(file: Path, content: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"simpletuner-enterprise\.yaml is not valid YAML"):
        load(file, content)


def test_file_in_another_encoding_stops_the_start_and_names_itself(file: Path) -> None:
    file.write_bytes(b"a: \xff\xfe\n")
    with pytest.raises(ImproperlyConfigured, match=r"simpletuner-enterprise\.yaml cannot be read"):
        enterprise.load(file)


def test_folder_in_the_files_place_stops_the_start(file: Path) -> None:
    file.mkdir()
    with pytest.raises(ImproperlyConfigured, match="cannot be read"):
        enterprise.load(file)


def test_sections_for_others_are_left_alone(file: Path) -> None:
    content = """
auth: {oidc: [{issuer: "https://id.example"}]}
5: five
background:
  job_status_polling: {enabled: false}
  approvals: {interval_seconds: fast}
providers:
  replicate: {api_token: x, webhook_url: "", limits: [1, 2]}
  other:
"""
    assert load(file, content) == EnterpriseConfig(job_polling_enabled=False)


@pytest.mark.parametrize(
    "url",
    [
        "https://your-server.com/api/webhooks/replicate",
        "https://your-server.com:8443/api/webhooks/replicate?a=b",
        "http://localhost:8001/api/webhooks/replicate",
        "http://127.0.0.1:8001/api/webhooks/replicate",
        "http://[::1]:8001/api/webhooks/replicate",
        "HTTPS://your-server.com/",
    ],
)
def test_webhook_url_by_https_or_to_this_machine_is_taken(file: Path, url: str) -> None:
    assert load(file, f'providers: {{replicate: {{webhook_url: "{url}"}}}}').webhook_urls == {"replicate": url}


def test_blanks_around_a_webhook_url_are_dropped() -> None:
    assert check_webhook_url("  https://hooks.example/ ") == "https://hooks.example/"


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://your-server.com/api/webhooks/replicate", id="plain http"),
        pytest.param("http://localhost.evil.example/", id="a host that begins like this machine"),
        pytest.param("http://10.0.0.1/", id="plain http in the own network"),
        pytest.param("https://user:geheim@your-server.com/", id="a user and a password"),
        pytest.param("https://user@your-server.com/", id="a user"),
        pytest.param("https://@your-server.com/", id="an empty user"),
        pytest.param("http://localhost@your-server.com/", id="this machine as a user"),
        pytest.param("https:///api/webhooks/replicate", id="no host"),
        pytest.param("https://your-server.com:99999/", id="a port that does not exist"),
        pytest.param("https://[::1", id="a broken host"),
        pytest.param("https://your server.com/", id="a blank"),
        pytest.param("https://your-server.com/\nX: y", id="a line end"),
        pytest.param("your-server.com/api", id="no scheme"),
        pytest.param("ftp://your-server.com/", id="another scheme"),
        pytest.param("", id="empty"),
        pytest.param(5, id="a number"),
        pytest.param(False, id="false"),
        pytest.param(None, id="nothing"),
        pytest.param(["https://your-server.com/"], id="a list"),
    ],
)
def test_other_webhook_urls_are_refused_without_being_repeated(url: object) -> None:
    with pytest.raises(ValueError, match=r"must be an https URL") as caught:
        check_webhook_url(url)
    assert str(caught.value) == "must be an https URL (or http on a loopback address)"


def test_bad_webhook_url_in_the_file_names_its_setting(file: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"yaml: providers\.replicate\.webhook_url must be an https URL"):
        load(file, "providers: {replicate: {webhook_url: http://your-server.com/}}")


@pytest.mark.parametrize(("value", "seconds"), [("0", 0.0), ("600", 600.0), ("86400", 86_400.0)])
def test_seconds_to_reconcile_after_are_read(file: Path, value: str, seconds: float) -> None:
    content = f"background: {{job_status_polling: {{reconcile_seconds: {value}}}}}"
    assert load(file, content) == EnterpriseConfig(reconcile_seconds=seconds)


@pytest.mark.parametrize("value", ["-1", "86401", "never", "true", ".nan"])
def test_bad_seconds_to_reconcile_after_stop_the_start_and_name_themselves(file: Path, value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"job_status_polling\.reconcile_seconds must be a number"):
        load(file, f"background: {{job_status_polling: {{reconcile_seconds: {value}}}}}")
