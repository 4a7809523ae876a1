from collections.abc import Callable

import pytest
from django.core.exceptions import ImproperlyConfigured

from simpletuner_cloud import env

NAME = "SIMPLETUNER_TEST_VARIABLE"
Set = Callable[[str | None], None]


@pytest.fixture
def variable(monkeypatch: pytest.MonkeyPatch) -> Set:
    def put(value: str | None) -> None:
        if value is None:
            monkeypatch.delenv(NAME, raising=False)
        else:
            monkeypatch.setenv(NAME, value)

    return put


@pytest.mark.parametrize(
    ("value", "text"), [(None, "default"), ("", "default"), ("   ", "default"), ("x", "x"), ("  x y ", "x y")]
)
def test_text_is_trimmed_and_an_empty_one_counts_as_unset(variable: Set, value: str | None, text: str) -> None:
    variable(value)
    assert env.text(NAME, "default") == text


@pytest.mark.parametrize("word", ["1", "true", "TRUE", "Yes", " on "])
def test_words_for_true(variable: Set, word: str) -> None:
    variable(word)
    assert env.flag(NAME, False) is True


@pytest.mark.parametrize("word", ["0", "false", "False", "NO", "off"])
def test_words_for_false(variable: Set, word: str) -> None:
    variable(word)
    assert env.flag(NAME, True) is False


@pytest.mark.parametrize("default", [True, False])
@pytest.mark.parametrize("value", [None, "", " "])
def test_unset_flag_is_its_default(variable: Set, value: str | None, default: bool) -> None:
    variable(value)
    assert env.flag(NAME, default) is default


@pytest.mark.parametrize("word", ["maybe", "2", "tru", "y", "null"])
def test_flag_of_another_word_stops_the_start_and_names_itself(variable: Set, word: str) -> None:
    variable(word)
    with pytest.raises(ImproperlyConfigured, match=f"{NAME}.*{word}"):
        env.flag(NAME, True)


@pytest.mark.parametrize(
    ("value", "number"), [(None, None), ("", None), ("60", 60.0), ("5", 5.0), ("86400", 86_400.0), ("7.5", 7.5)]
)
def test_number_between_its_limits_is_read(variable: Set, value: str | None, number: float | None) -> None:
    variable(value)
    assert env.number(NAME, None, minimum=5, maximum=86_400) == number


@pytest.mark.parametrize(
    "value", ["0", "-5", "4.99", "fast", "1e9", "nan", "inf", "-inf", "true", "30s", "0x10", "5,0", "1" * 400]
)
def test_number_outside_its_limits_stops_the_start_and_names_itself(variable: Set, value: str) -> None:
    variable(value)
    with pytest.raises(ImproperlyConfigured, match=NAME):
        env.number(NAME, None, minimum=5, maximum=86_400)


@pytest.mark.parametrize(("value", "number"), [(None, 8001), ("", 8001), ("1", 1), ("65535", 65_535), ("80.0", 80)])
def test_whole_number_is_read(variable: Set, value: str | None, number: int) -> None:
    variable(value)
    found = env.integer(NAME, 8001, minimum=1, maximum=65_535)
    assert (found, type(found)) == (number, int)


@pytest.mark.parametrize("value", ["0", "65536", "80.5", "http", "-1", "nan"])
def test_number_that_is_not_whole_stops_the_start_and_names_itself(variable: Set, value: str) -> None:
    variable(value)
    with pytest.raises(ImproperlyConfigured, match=NAME):
        env.integer(NAME, 8001, minimum=1, maximum=65_535)


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, ["a", "b"]), ("", ["a", "b"]), (" , ,", ["a", "b"]), ("x", ["x"]), (" x , y,,z ", ["x", "y", "z"])],
)
def test_list_is_split_at_commas(variable: Set, value: str | None, words: list[str]) -> None:
    variable(value)
    assert env.words(NAME, ("a", "b")) == words


@pytest.mark.parametrize(
    "value",
    [
        "https://api.replicate.com",
        "http://127.0.0.1:8002",
        "http://[::1]:8002/prefix",
        "HTTPS://api.replicate.com",
        "redis://:password@redis:6379/0",
        "unix:///run/redis.sock?db=1",
        "postgresql:///jobs",
        "sqlite:////data/db.sqlite3",
    ],
)
def test_url_of_a_known_scheme_is_taken_as_it_is(variable: Set, value: str) -> None:
    variable(value)
    schemes = ("https", "http", "redis", "unix", "postgresql", "sqlite")
    assert env.url(NAME, "", schemes=schemes) == value


@pytest.mark.parametrize("value", [None, ""])
def test_unset_url_is_its_default(variable: Set, value: str | None) -> None:
    variable(value)
    assert env.url(NAME, "https://api.replicate.com", schemes=("https",)) == "https://api.replicate.com"
    assert env.url(NAME, "", schemes=("https",)) == ""


@pytest.mark.parametrize(
    "value",
    [
        "api.replicate.com",
        "ftp://user:geheim@host/",
        "localhost:8002",
        "https://",
        "https:///path",
        "https://[",
        "//host/geheim",
        "javascript:alert(1)",
    ],
)
def test_other_urls_stop_the_start_and_are_not_repeated(variable: Set, value: str) -> None:
    variable(value)
    with pytest.raises(ImproperlyConfigured) as caught:
        env.url(NAME, "", schemes=("https", "http"))
    assert str(caught.value) == f"{NAME} must be a URL that starts with https:// or http://."
