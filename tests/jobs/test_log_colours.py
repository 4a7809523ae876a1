"""Whatever colours a log sets, it can be read: static/css/log.css on the ground of static/css/tokens.css."""

import re
from itertools import product
from pathlib import Path

import pytest
from django.conf import settings

STYLES = Path(settings.BASE_DIR) / "static" / "css"
LEAST_CONTRAST = 4.5


def colours(pattern: str, name: str = "log.css") -> list[str]:
    return re.findall(pattern, (STYLES / name).read_text(encoding="utf-8"))


INKS = colours(r"\.ansi-fg-\d+ \{\s*color: (#\w{6})")
GROUNDS = colours(r"\.ansi-bg-\d+ \{\s*background: (#\w{6})")
TERMINALS = colours(r"--terminal: light-dark\((#\w{6}), (#\w{6})\)", "tokens.css")[0]
TERMINAL_INKS = colours(r"--terminal-(?:ink|quiet): (#\w{6})", "tokens.css")
LEVELS = re.findall(
    r"\.log-line\.is-(?:error|warning) \{\s*background: (#\w{6});\s*color: (#\w{6})",
    (STYLES / "log.css").read_text(encoding="utf-8"),
)
CHOSEN = colours(r"\.log-line\.is-chosen \{\s*background: (#\w{6})")


def brightness(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((brightness(one), brightness(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_there_are_sixteen_of_each() -> None:
    assert (len(INKS), len(GROUNDS), len(LEVELS), len(CHOSEN)) == (16, 16, 2, 1)


@pytest.mark.parametrize("ink", [*INKS, *TERMINAL_INKS])
def test_every_ink_is_read_on_the_terminal_in_light_and_dark(ink: str) -> None:
    assert all(contrast(ink, ground) >= LEAST_CONTRAST for ground in TERMINALS)


def test_the_usual_ink_is_read_on_every_ground() -> None:
    grounds = [*GROUNDS, *CHOSEN, *(ground for ground, _ in LEVELS)]
    assert {
        ground: contrast(TERMINAL_INKS[0], ground) for ground in grounds if contrast(TERMINAL_INKS[0], ground) < 4.5
    } == {}
    assert all(contrast(ink, ground) >= LEAST_CONTRAST for ground, ink in LEVELS)


def test_no_pair_of_ink_and_ground_vanishes() -> None:
    # A log may set any pair; at least large text is read in each.
    assert {(ink, ground) for ink, ground in product(INKS, GROUNDS) if contrast(ink, ground) < 3} == set()
