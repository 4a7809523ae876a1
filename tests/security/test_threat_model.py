"""docs/security.md keeps its word: what it names is there."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from tests.test_reliability_table import NAMED_TEST, functions_of

ROOT = Path(settings.BASE_DIR)
TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
THREATS = re.findall(r"^\| ([STRIDE]) \| (.+) \|$", TEXT, re.MULTILINE)


def test_every_kind_of_threat_is_thought_of() -> None:
    assert {kind for kind, _ in THREATS} == set("STRIDE")


@pytest.mark.parametrize("row", [row for _, row in THREATS], ids=[row.split(" | ")[0] for _, row in THREATS])
def test_measure_has_a_test_that_exists_or_a_document_that_has_it(row: str) -> None:
    named = NAMED_TEST.findall(row)
    assert named or "(accounts.md)" in row
    for path, name in named:
        assert name in functions_of(path), f"{path} has no {name}"


def test_places_that_are_named_exist() -> None:
    places = set(re.findall(r"`((?:jobs|providers|simpletuner_cloud|templates|static)/[\w/]*(?:\.py)?)`", TEXT))
    assert len(places) > 15
    assert [place for place in sorted(places) if not (ROOT / place).exists()] == []
