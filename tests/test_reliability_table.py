"""docs/reliability.md keeps its word: every row is there once, and every test that it names exists."""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
TABLE = TESTS.parent / "docs" / "reliability.md"
ROW = re.compile(r"^\| ([A-Z]\d+) \|(.*)\|$", re.MULTILINE)
NAMED_TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")
EXPECTED = [
    f"{letter}{number}"
    for letter, last in (("F", 30), ("I", 20), ("V", 10), ("D", 10))
    for number in range(1, last + 1)
]
ROWS = ROW.findall(TABLE.read_text())


@cache
def functions_of(path: str) -> frozenset[str]:
    tree = ast.parse((TESTS / path).read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_every_row_is_there_once_and_in_order() -> None:
    assert Counter(number for number, _ in ROWS) == Counter(EXPECTED)
    assert [number for number, _ in ROWS] == EXPECTED


@pytest.mark.parametrize(("number", "row"), ROWS, ids=[number for number, _ in ROWS])
def test_row_names_tests_that_exist_or_says_what_is_missing(number: str, row: str) -> None:
    named = NAMED_TEST.findall(row)
    assert named or "**Not here yet:**" in row
    for path, name in named:
        assert (TESTS / path).is_file(), path
        assert name.startswith("test_")
        assert name in functions_of(path), f"{path} has no {name}"
