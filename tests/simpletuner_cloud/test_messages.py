"""The catalogues: every text of the source is translated, and what is compiled is what is written."""

import gettext
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import django
import pytest
from django.core.management import call_command
from pytest_django import Settings

from simpletuner_cloud.management.commands.messages import DOMAINS
from tests.po_files import Entry, entries

ROOT = Path(__file__).parents[2]
HINDI = ROOT / "locale" / "hi" / "LC_MESSAGES"
# What Django itself has not in Hindi.
FRAMEWORKS = ROOT / "locale" / "frameworks" / "hi" / "LC_MESSAGES" / "django.po"
CATALOGUES = (*(HINDI / f"{domain}.po" for domain in DOMAINS), FRAMEWORKS)
each_catalogue = pytest.mark.parametrize("catalogue", CATALOGUES, ids=("pages", "scripts", "frameworks"))
PLACEHOLDERS = re.compile(r"%\(\w+\)[sd]|%[sdg](?!\w)|%%|\{\w+\}|</?\w+[^>]*>")
# What a singular may leave out, because it says "a job".
NUMBERS = {"%(count)s", "%(count)d", "%(counter)s"}
# The table of statuses and messages that the product's design fixes.
FIXED = {
    "Pending": "लंबित",
    "Uploading": "अपलोड हो रहा है",
    "Queued": "कतार में",
    "Running": "चल रहा है",
    "Cancelling…": "रद्द किया जा रहा है…",
    "Completed": "पूर्ण",
    "Failed": "विफल",
    "Cancelled": "रद्द",
    "Discovered %(count)s jobs from %(provider)s": "%(provider)s से %(count)s जॉब मिले",
    "A sync is already running.": "सिंक पहले से चल रहा है।",
    "Live": "लाइव",
    "Reconnecting…": "फिर से जुड़ रहा है…",
    "Polling every 30 s": "हर 30 सेकंड में जाँच",
    "Keep running": "चलने दें",
    "Cancel job": "जॉब रद्द करें",
    "Cancel requested": "रद्द करने का अनुरोध भेजा गया",
    "Cancelled, confirmed by %(provider)s": "रद्द, %(provider)s ने पुष्टि की",
    "No confirmation after 60 s; it may still be billing.": "60 सेकंड में पुष्टि नहीं मिली; शुल्क अब भी लग सकता है।",
    "Budget reached: cancel sent": "बजट पूरा: रद्द करने का अनुरोध भेजा गया",
    "%(percent)s of the budget used": "बजट का %(percent)s उपयोग हो चुका",
    "%(percent)s · estimating…": "%(percent)s · अनुमान लगाया जा रहा है…",
    "Clear filters": "फ़िल्टर हटाएँ",
    "You may view this job, not change it.": "आप यह जॉब देख सकते हैं, बदल नहीं सकते।",
}


@cache
def hindi(domain: str) -> tuple[Entry, ...]:
    return tuple(entries(HINDI / f"{domain}.po"))


def compiled(path: Path) -> dict[object, str]:
    with path.open("rb") as file:
        catalogue: dict[object, str] = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    return {key: text for key, text in catalogue.items() if key}


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("source")


@pytest.fixture
def fresh(extracted: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Catalogues of the source as it is, without a translation."""
    locale = extracted / "locale"
    if not locale.exists():
        # Elsewhere, because the command writes beside the source.
        for name in ("jobs", "providers", "simpletuner_cloud", "static", "templates"):
            shutil.copytree(ROOT / name, extracted / name, ignore=shutil.ignore_patterns("__pycache__", "vendor"))
        monkeypatch.chdir(extracted)
        settings.LOCALE_PATHS = [str(locale)]
        call_command("messages")
    return locale / "hi" / "LC_MESSAGES"


@pytest.mark.parametrize("domain", DOMAINS)
def test_catalogue_has_the_texts_of_the_source_and_no_others(domain: str, fresh: Path) -> None:
    wanted = {(*entry.english, entry.context) for entry in entries(fresh / f"{domain}.po")}
    found = {(*entry.english, entry.context) for entry in hindi(domain)}
    assert found == wanted, "`make messages` brings them together"


@each_catalogue
def test_every_text_is_translated_in_every_form(catalogue: Path) -> None:
    forms = {2 if len(entry.english) == 2 else 1: len(entry.translations) for entry in entries(catalogue)}
    assert all(number == count for number, count in forms.items())
    assert [entry.key for entry in entries(catalogue) if not all(entry.translations)] == []


@each_catalogue
def test_nothing_is_fuzzy_or_obsolete_and_places_have_no_line_numbers(catalogue: Path) -> None:
    for entry in entries(catalogue):
        assert not any("fuzzy" in comment or comment.startswith(("#~", "#|")) for comment in entry.comments)
        assert not any(re.search(r":\d", comment) for comment in entry.comments if comment.startswith("#:"))


@each_catalogue
def test_translations_hold_what_is_filled_in(catalogue: Path) -> None:
    odd = []
    for entry in entries(catalogue):
        for number, text in enumerate(entry.translations):
            english = entry.english[min(number, len(entry.english) - 1)]
            wanted, found = sorted(PLACEHOLDERS.findall(english)), sorted(PLACEHOLDERS.findall(text))
            # Hindi's singular is also that of 0, so it may name the number where English says "a job".
            is_singular = len(entry.translations) > 1 and number == 0
            if found != wanted and not (is_singular and set(found) ^ set(wanted) <= NUMBERS):
                odd.append((entry.key, text))
            ends = [each.startswith("\n") + 2 * each.endswith("\n") for each in (english, text)]
            if ends[0] != ends[1]:
                odd.append((entry.key, text))
    assert odd == []


@each_catalogue
def test_compiled_catalogue_is_the_written_one(catalogue: Path, tmp_path: Path) -> None:
    target = tmp_path / "compiled.mo"
    subprocess.run(["msgfmt", "--check", "-o", str(target), str(catalogue)], check=True)
    assert compiled(catalogue.with_suffix(".mo")) == compiled(target), "`make messages` compiles them"


def test_pages_and_scripts_say_the_same() -> None:
    pages = {entry.key: entry.translations for entry in hindi("django")}
    odd = {
        entry.key: (pages[entry.key], entry.translations)
        for entry in hindi("djangojs")
        if entry.key in pages and set(pages[entry.key]) ^ set(entry.translations)
    }
    assert odd == {}


def test_words_that_the_design_fixes() -> None:
    told: dict[str, set[str]] = {}
    for entry in (*hindi("django"), *hindi("djangojs")):
        if entry.context is None:
            told.setdefault(entry.english[-1], set()).add(entry.translations[-1])
    assert {english: told.get(english) for english in FIXED} == {english: {text} for english, text in FIXED.items()}


def test_hindi_has_one_form_up_to_one_and_another_beyond() -> None:
    for catalogue in CATALOGUES:
        assert "plural=(n > 1);" in catalogue.read_text(encoding="utf-8").partition("\n\n")[0]


def test_texts_of_django_are_there_still() -> None:
    """What Django has changed or dropped is translated for nobody."""
    folder = Path(django.__file__).parent
    files = [file for kind in ("py", "html") for file in folder.rglob(f"*.{kind}") if "locale" not in file.parts]
    source = _joined("".join(file.read_text(encoding="utf-8") for file in files if "site-packages" in file.parts))
    lost = [entry.english[0] for entry in entries(FRAMEWORKS) if _joined(entry.english[0]) not in source]
    assert lost == []


def _joined(text: str) -> str:
    """Without what differs between a text and how a source or a template writes it."""
    return re.sub(r"""%\(\w+\)[srd]|\{\{ ?[\w.|]+ ?\}\}|[\s"'\\]""", "", text)
