"""What services say in English, on pages in another language: jobs.presentation.retold."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import translation

from jobs.presentation.retold import SENTENCES, in_english, retold, retold_plainly

ROOT = Path(__file__).parents[2]
# Whatever may be filled in.
FILLER = "7"


@pytest.fixture
def _hindi() -> Iterator[None]:
    """A page in Hindi."""
    with translation.override("hi"):
        yield


def raised(*kinds: str) -> list[str]:
    """The texts of these errors, as the services raise them, with something in each place."""
    found = []
    for file in sorted((ROOT / "jobs" / "services").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds and node.args:
                found.append(_text(node.args[-1]))
    return [text for text in found if text and not text.isidentifier()]


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if not isinstance(node, ast.JoinedStr):
        return ""
    pieces = []
    for part in node.values:
        is_quoted = isinstance(part, ast.FormattedValue) and part.conversion == ord("r")
        pieces.append(str(part.value) if isinstance(part, ast.Constant) else repr(FILLER) if is_quoted else FILLER)
    return "".join(pieces)


@pytest.mark.usefixtures("_hindi")
def test_every_refusal_of_a_service_is_known() -> None:
    texts = raised("InvalidState", "InvalidBudget", "CostLimitReached")
    assert len(texts) > 15
    unknown = [text for text in texts if "lang=" in retold(text)]
    # What begins with a text of another place is known by that text.
    assert [text for text in unknown if not text.startswith(FILLER)] == []


def test_scripts_know_no_other_sentences() -> None:
    script = (ROOT / "static" / "js" / "retold.js").read_text(encoding="utf-8")
    sentences = re.findall(r'gettext_noop\("(.*)"\)', script)
    assert len(sentences) > 20
    assert set(sentences) <= set(SENTENCES)


def test_english_pages_say_it_as_it_is() -> None:
    for text in ("The job has already ended (failed).", "<b>no</b>", "Replicate did not answer in time."):
        assert retold(text) == retold_plainly(text) == in_english(text) == text


@pytest.mark.usefixtures("_hindi")
@pytest.mark.parametrize(
    ("english", "hindi"),
    [
        ("The job has already ended (failed).", "जॉब पहले ही समाप्त हो चुका है (विफल)।"),
        (
            "Replicate refused the token: Unauthenticated. Nothing was changed. Check the token.",
            "Replicate ने टोकन स्वीकार नहीं किया: Unauthenticated। कुछ बदला नहीं गया। टोकन जाँचें।",
        ),
        ("Something of a provider's own.", '<span lang="en">Something of a provider&#x27;s own.</span>'),
        ("<script>", '<span lang="en">&lt;script&gt;</span>'),
        ("जाँच: Replicate did not answer in time.", "जाँच: Replicate ने समय पर उत्तर नहीं दिया।"),
        ("जाँच: of its own.", 'जाँच: <span lang="en">of its own.</span>'),
        ("जॉब", "जॉब"),
    ],
)
def test_hindi_pages_say_it_in_hindi_or_mark_it(english: str, hindi: str) -> None:
    assert retold(english) == hindi


@pytest.mark.usefixtures("_hindi")
def test_what_is_filled_in_is_no_markup() -> None:
    told = retold("There is no job '<script>' here.")
    assert "<script>" in told
    assert not hasattr(told, "__html__"), "a template escapes it"
