"""A stored log, for reading without a script. ``static/js/log/lines.js`` does the same in the browser."""

import re

SHOWN_LINES = 500
# In the overview, where they say what is going on.
TAIL_LINES = 12
# More than enough for the shown lines, and little enough for a log of any size.
TAIL_CHARACTERS = 400_000

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]?|\][^\x07\x1b]{0,512}(?:\x07|\x1b\\)|[ -/]?[0-~])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def last_lines(text: str, limit: int = SHOWN_LINES) -> str:
    """The last lines as a terminal shows them in the end: redrawn lines once, no colours, no control characters."""
    lines = text[-TAIL_CHARACTERS:].split("\n")
    if len(text) > TAIL_CHARACTERS:
        # The first one is cut in the middle.
        lines = lines[1:]
    return "\n".join(_last_drawing(line) for line in lines[-limit - 1 :]).rstrip("\n")


def _last_drawing(line: str) -> str:
    drawn = [part for part in line.split("\r") if part]
    return _CONTROL.sub("", _ESCAPE.sub("", drawn[-1])) if drawn else ""
