"""How a reader wants pages to look: kept in their browser, which tells it with every request."""

from collections.abc import Mapping
from dataclasses import dataclass

THEME_COOKIE, TIMES_COOKIE = "theme", "times"
THEMES = ("system", "light", "dark")
TIMES = ("relative", "absolute")
# The first of each is what somebody gets who has not chosen.
CHOICES: Mapping[str, tuple[str, ...]] = {THEME_COOKIE: THEMES, TIMES_COOKIE: TIMES}


@dataclass(frozen=True, slots=True)
class Look:
    """One of ``THEMES`` and one of ``TIMES``."""

    theme: str = THEMES[0]
    times: str = TIMES[0]

    @property
    def color_scheme(self) -> str:
        """What the browser draws its own parts in."""
        return "light dark" if self.theme == "system" else self.theme


def look_of(cookies: Mapping[str, str]) -> Look:
    """What a browser says; a word that is none of ours counts for nothing."""
    chosen = {name: cookies.get(name, "") for name in CHOICES}
    return Look(**{name: word if word in CHOICES[name] else CHOICES[name][0] for name, word in chosen.items()})
