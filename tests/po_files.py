"""Reading gettext's catalogues, as far as tests ask."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

LINE = re.compile(r'(msgctxt|msgid_plural|msgid|msgstr(?:\[\d+\])?) (".*")')


@dataclass(frozen=True)
class Entry:
    """One text: its context and English forms, its translations, and what the comments say of it."""

    context: str | None
    english: tuple[str, ...]
    translations: tuple[str, ...]
    comments: tuple[str, ...]

    @property
    def key(self) -> tuple[str | None, str]:
        return self.context, self.english[0]


def entries(path: Path) -> list[Entry]:
    """All but the header."""
    blocks = path.read_text(encoding="utf-8").strip().split("\n\n")
    return [_entry(block) for block in blocks[1:]]


def _entry(block: str) -> Entry:
    comments, fields, current = [], dict[str, str](), ""
    for line in block.splitlines():
        if line.startswith("#"):
            comments.append(line)
            continue
        if found := LINE.fullmatch(line):
            current, line = found[1], found[2]
            fields[current] = ""
        fields[current] += ast.literal_eval(line)
    return Entry(
        context=fields.get("msgctxt"),
        english=tuple(fields[name] for name in ("msgid", "msgid_plural") if name in fields),
        translations=tuple(text for name, text in fields.items() if name.startswith("msgstr")),
        comments=tuple(comments),
    )
