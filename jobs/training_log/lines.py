"""A training log as its reader saw it: terminal text -> the newest lines on the screen. Pure.

Trainers write for a terminal: `\\r` and `\\b` redraw a line, escape sequences colour it or move the cursor. Every
redraw counts as a line of its own here: the newest may be cut short, and the one before it is then worth reading.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import islice

# What is read is bounded, so that a log of any size and content costs the same.
TAIL_CHARACTERS = 131_072
MAX_DRAWINGS = 2_000
MAX_LINES = 300
MAX_CHARACTERS = 24_000
MAX_LINE_CHARACTERS = 2_000
MAX_BACKSPACED_CHARACTERS = 4_000
BANNER_WINDOW_CHARACTERS = 1_048_576
MAX_BANNER_CHARACTERS = 300

# Lines that announce a total once and scroll away; spelt as the trainers spell them, for a plain substring search.
BANNERS = (
    "Total optimization steps",
    "total optimization steps",
    "Total steps",
    "Num Epochs",
    "num epochs",
    "Beginning of Epoch",
    "Starting training for",
    "Scheduled epochs",
)

CURSOR_MOVE = re.compile(r"\x1b\[[0-9;]{0,8}[A-Hf]")
ESCAPE = re.compile(r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]?|\][^\x07\x1b]{0,512}(?:\x07|\x1b\\)|[ -/]?[0-~])")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_BAR = re.compile(r"(?P<name>[^%]{0,200}?)\d{1,3}%[^/]{0,800}/ ?(?P<total>[\d.,]+)")
_BACKSPACES = re.compile(r"(\x08+)")


def newest_lines(text: str) -> list[str]:
    """The last non-blank lines, oldest first, free of control characters, few enough to be read at leisure."""
    lines: list[str] = []
    characters = 0
    for line in _without_older_redraws(_lines_backwards(text[-TAIL_CHARACTERS:])):
        lines.append(line)
        characters += len(line)
        if len(lines) == MAX_LINES or characters > MAX_CHARACTERS:
            break
    return lines[::-1]


def banners_above(text: str, lines: list[str]) -> list[str]:
    """Lines that announce totals and have scrolled above `lines`, oldest first: the newest of each kind."""
    start = max(0, len(text) - BANNER_WINDOW_CHARACTERS)
    places = sorted(place for banner in BANNERS if (place := text.rfind(banner, start)) >= 0)
    found = (re.split(r"[\r\n]", text[at : at + MAX_BANNER_CHARACTERS], maxsplit=1)[0] for at in places)
    return [banner for banner in map(_printable, found) if not any(banner in line for line in lines)]


def _lines_backwards(tail: str) -> Iterator[str]:
    for drawing in islice(_drawings_backwards(tail), MAX_DRAWINGS):
        line = _printable(drawing)
        if line and not line.isspace():
            yield line


def _drawings_backwards(tail: str) -> Iterator[str]:
    # Nested bars move the cursor to their row instead of writing a newline.
    rows = CURSOR_MOVE.sub("\n", tail).split("\n")
    for row in reversed(rows):
        for redraw in reversed(row.split("\r")):
            if redraw and not redraw.isspace():
                yield from reversed(_after_backspaces(redraw))


def _without_older_redraws(newest_first: Iterable[str]) -> Iterator[str]:
    """Of a bar that is drawn again and again only the newest drawing is of use: it holds what the others held."""
    previous: tuple[str, str] | None = None
    for line in newest_first:
        bar = _BAR.match(line)
        current = (bar["name"], bar["total"]) if bar else None
        if current is None or current != previous:
            yield line
        previous = current


def _after_backspaces(redraw: str) -> list[str]:
    """What stood on the line before each time backspaces wiped it out, and what stands there at the end."""
    if "\b" not in redraw:
        return [redraw]
    wiped: list[str] = []
    shown = ""
    for part in _BACKSPACES.split(redraw[-MAX_BACKSPACED_CHARACTERS:]):
        if not part.startswith("\b"):
            shown += part
        elif len(part) < len(shown):
            shown = shown[: -len(part)]
        else:
            wiped.append(shown)
            shown = ""
    return [*wiped, shown]


def _printable(line: str) -> str:
    """The line without colours and control characters, its middle left out when it is very long."""
    if len(line) > 2 * MAX_LINE_CHARACTERS:
        line = f"{line[:MAX_LINE_CHARACTERS]} {line[-MAX_LINE_CHARACTERS:]}"
    line = _CONTROL.sub("", ESCAPE.sub("", line)).replace("\t", " ")
    if len(line) > MAX_LINE_CHARACTERS:
        half = MAX_LINE_CHARACTERS // 2
        line = f"{line[:half]} {line[-half:]}"
    # A lone surrogate cannot be encoded, so neither the database nor the browser could be given this line.
    return _LONE_SURROGATE.sub("\ufffd", line)
