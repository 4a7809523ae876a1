"""A provider's texts and inputs, made fit to be stored and shown: no secrets, no bulk, nothing a database refuses."""

import json
import math
import re
from typing import Any

from providers import masking

# The path of a webhook's URL may be a key of its own.
SECRET_KEY = re.compile(
    r"token$|secret|passw|(?:api|access|private)[_-]?key|credential|authorization|^webhook_config$", re.IGNORECASE
)
SECRET_VALUE = re.compile(r"\b(?:r8_[A-Za-z0-9]{20,}|hf_[A-Za-z0-9]{24,}|sk-[A-Za-z0-9_-]{20,})")
LONGEST_SECRET_CHARACTERS = 512
MASK = "••••"

MAX_TEXT_CHARACTERS = 2000
MAX_INPUT_CHARACTERS = 16_000
# Of JSON in a text, such as a trainer's whole configuration: it is of use only as a whole.
MAX_JSON_CHARACTERS = 12_000
MAX_BULKY_ENTRY_CHARACTERS = 200
MAX_KEY_CHARACTERS = 200
MAX_ITEMS = 200
MAX_DEPTH = 6
# Larger ones cannot be written as JSON by everybody who passes them on.
MAX_INTEGER_BITS = 63


def storable(text: str) -> str:
    """Text that every database takes (no NUL, no lone surrogates) and that shows nobody a secret."""
    whole = text.encode("utf-8", errors="replace").decode("utf-8").replace("\x00", "\ufffd")
    return SECRET_VALUE.sub(MASK, whole)


def _cut(whole: str, limit: int) -> str:
    """The text's beginning. A secret is masked before the cut: half of one would no longer look like one."""
    return storable(whole[: limit + LONGEST_SECRET_CHARACTERS])[:limit]


def text(value: object, limit: int = MAX_TEXT_CHARACTERS) -> str | None:
    return _cut(value, limit) if isinstance(value, str) and value else None


def in_words(value: object, limit: int) -> str:
    """A text as it is, anything else as JSON."""
    return _cut(value if isinstance(value, str) else json.dumps(_masked("", value)), limit)


def shown_input(inputs: object) -> dict[str, Any] | None:
    """The input with its secrets masked and its bulk left out."""
    if not isinstance(inputs, dict) or not inputs:
        return None
    whole = {_cut(key, MAX_KEY_CHARACTERS): _masked(key, value) for key, value in inputs.items()}
    if len(json.dumps(whole)) <= MAX_INPUT_CHARACTERS:
        return whole
    shown: dict[str, Any] = {}
    room = MAX_INPUT_CHARACTERS
    for key, value in whole.items():
        size = len(json.dumps({key: value}))
        if size <= min(room, MAX_BULKY_ENTRY_CHARACTERS):
            shown[key] = value
            room -= size
    return shown


def _masked(key: str, value: object, depth: int = 0) -> object:
    if value and not isinstance(value, bool) and SECRET_KEY.search(key):
        return MASK
    if isinstance(value, str):
        if value.startswith("data:"):
            return storable(f"{value[:40].split(',')[0]},…")
        if value.lstrip()[:1] in ("{", "["):
            return _cut(masking.masked(value), MAX_JSON_CHARACTERS)
        return _cut(value, MAX_TEXT_CHARACTERS)
    if isinstance(value, float) and not math.isfinite(value):
        return None  # 1e999 is JSON, but no database takes it
    if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
        return _cut(str(value), MAX_TEXT_CHARACTERS)
    if isinstance(value, dict | list) and depth >= MAX_DEPTH:
        return "…"
    if isinstance(value, dict):
        return {_cut(inner, MAX_KEY_CHARACTERS): _masked(inner, item, depth + 1) for inner, item in value.items()}
    if isinstance(value, list):
        return [_masked(key, item, depth + 1) for item in value[:MAX_ITEMS]]
    return value
