"""Words in Latin letters that somebody sees or hears on a page in another script."""

import re
from html.parser import HTMLParser

VOID = frozenset(["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"])
# Read out and shown as they are: code, keys, names that people gave, and what says that it is English.
AS_IS = frozenset(["script", "style", "template", "code", "kbd", "samp", "bdi", "svg", "textarea"])
SPOKEN_ATTRIBUTES = ("title", "aria-label", "placeholder", "alt", "aria-valuetext", "aria-description", "data-label")
WORD = re.compile(r"[A-Za-z][A-Za-z_]+")
AS_THEY_ARE = re.compile(
    r"https?://\S+|\b[\w.-]+\.(?:json|toml|yaml|log|csv|zip|tar|py|com/\w+)\b"  # addresses and files
    r"|\b[A-Z]+_[A-Z_]+(?:=\w+)?\b|\bgpu-[\w-]+|\bowner/name\b"  # settings, machines, patterns
    r"|\bjob\d{5}\w+|\b[0-9a-f]{32}\b"  # ids
    r"|\((?:[A-Z][a-z]+)+\)"  # kinds of errors
    r"|“[^”]*”"  # what somebody wrote
)
# Names, units and words of the API: CONTRIBUTING.md says what stays in Latin letters.
ALLOWED = frozenset(
    """
    SimpleTuner Cloud Replicate Redis SQLite PostgreSQL Django Celery API APIs URL URLs JSON CSV SSE GPU CPU
    ETA UTC IP TLS HTTP HTTPS https http HMAC SHA UTF CIDR USD KB MB GB KiB MiB GiB TB zip tar loss lr
    sync_active dataloader_config Nvidia NVIDIA RTX CUDA PCIe SXM Large Small flux lora beat loss Loss Shift
    Ctrl Alt Meta Esc Enter End
    """.split()  # noqa: SIM905 (it is a text to be read)
)


class _Reader(HTMLParser):
    def __init__(self, also: frozenset[str]) -> None:
        super().__init__(convert_charrefs=True)
        self._also = also
        self.found: list[str] = []
        self._open: list[tuple[str, bool]] = []

    @property
    def _is_as_is(self) -> bool:
        return any(skips for _, skips in self._open)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        skips = (
            tag in AS_IS
            or values.get("translate") == "no"
            or values.get("lang", "hi") != "hi"
            or "id" in values.get("class", "").split()
        )
        if tag == "html":
            skips = False
        if not self._is_as_is and not (skips and tag not in AS_IS):
            names = SPOKEN_ATTRIBUTES + (
                ("value",) if tag == "input" and values.get("type") in ("submit", "button", "reset") else ()
            )
            for name in names:
                if name == "title" and "id" in values.get("class", "").split():
                    continue
                self._look(values.get(name, ""), f"{tag}[{name}]")
        if tag not in VOID:
            self._open.append((tag, skips))

    def handle_endtag(self, tag: str) -> None:
        while self._open:
            name, _ = self._open.pop()
            if name == tag:
                return

    def handle_data(self, data: str) -> None:
        if not self._is_as_is:
            self._look(data, self._open[-1][0] if self._open else "")

    def _look(self, text: str, where: str) -> None:
        if set(latin_words(text)) - self._also:
            self.found.append(f"{where}: {' '.join(text.split())}")


def latin_words(text: str) -> list[str]:
    """Those that no text in another script should hold."""
    return [word for word in WORD.findall(AS_THEY_ARE.sub(" ", text)) if word not in ALLOWED]


def latin_texts(html: str, also: frozenset[str] = frozenset()) -> list[str]:
    """Each text of a page that holds such a word, and what it stands in. ``also``: words that this page may hold."""
    reader = _Reader(also)
    reader.feed(html)
    reader.close()
    return reader.found
