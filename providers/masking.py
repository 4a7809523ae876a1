"""Secrets in what people configure: found by their names and shapes, and shown by their last characters alone. Pure.

What was masked can be put back where it stood, so that a masked copy may be edited and saved.
"""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

MASK = "••••"
SHOWN_CHARACTERS = 4
# Of a shorter one its end would be too large a part.
SHORTEST_TO_SHOW = 12

_SECRET_WORDS = r"secret|passw|(?:api|access|private)[_-]?key|credential|authorization"
SECRET_NAME = re.compile(rf"token$|{_SECRET_WORDS}|webhook[_-]?(?:url|config)", re.IGNORECASE)
SECRET_VALUE = re.compile(r"\b(?:r8_[A-Za-z0-9]{20,}|hf_[A-Za-z0-9]{24,}|sk-[A-Za-z0-9_-]{20,})")
# In a text: --hub_token=…, ?api_key=…, "hf_token": "…", https://name:password@host. Each part is bounded, and a name
# is tried from its beginning only: a text of megabytes costs no more than reading it.
_ASSIGNED_NAME = rf"(?:[\w-]{{0,64}}?token|[\w-]{{0,64}}?(?:{_SECRET_WORDS})[\w-]{{0,64}})"
_ASSIGNED = re.compile(
    rf"((?<![\w-])(?:{_ASSIGNED_NAME}\s{{0,8}}=\s{{0,8}}|--{_ASSIGNED_NAME}\s{{1,8}})[\"']?)"
    r"([^&\s\"']+)",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"(\"([^\"\\\n]{1,200})\"\s{0,8}:\s{0,8}\")((?:[^\"\\]|\\.)+)")
_IN_URL = re.compile(r"(\b[a-z][a-z0-9+.-]{0,20}://[^\s/@:]{0,200}:)([^\s/@]{1,500})(?=@)", re.IGNORECASE)


def is_secret_name(name: str) -> bool:
    """Whether what stands under this name is nobody's business."""
    return bool(SECRET_NAME.search(name))


def masked_text(secret: str) -> str:
    """The end of a secret, if it is long enough to have one."""
    return MASK + (secret[-SHOWN_CHARACTERS:] if len(secret) >= SHORTEST_TO_SHOW else "")


def masked(value: Any, name: str = "") -> Any:
    """A copy of a JSON value with its secrets masked, also of those inside JSON that stands in a text."""
    return _masked(value, is_secret=is_secret_name(name))


def has_mask(value: Any) -> bool:
    """Whether something in it is masked, and so not the thing itself."""
    return any(isinstance(text, str) and MASK in text for text in _leaves(value))


def unmasked(shown: Any, stored: Any) -> Any:
    """What somebody made of a masked copy, with each secret that he left masked put back from where it stood.

    A mask for which there is nothing to put back stays; ``has_mask`` tells.
    """
    return _unmasked(shown, stored, is_secret=False)


def _masked(value: Any, *, is_secret: bool) -> Any:
    if isinstance(value, dict):
        return {key: _masked(inner, is_secret=is_secret or is_secret_name(str(key))) for key, inner in value.items()}
    if isinstance(value, list):
        return [_masked(inner, is_secret=is_secret) for inner in value]
    if isinstance(value, str):
        return (masked_text(value) if value else value) if is_secret else _masked_within(value)
    if is_secret and value and not isinstance(value, bool):
        return MASK
    return value


def _masked_within(text: str) -> str:
    if text.lstrip()[:1] in ("{", "["):
        # Of what is no JSON, or nested too deep, the text is looked through.
        with suppress(ValueError, RecursionError):
            inner = json.loads(text)
            shown = masked(inner)
            # As it was written, if there was nothing to hide.
            return text if shown == inner else json.dumps(shown, ensure_ascii=False)
    text = _QUOTED.sub(lambda found: found[1] + (masked_text(found[3]) if is_secret_name(found[2]) else found[3]), text)
    text = _IN_URL.sub(lambda found: found[1] + MASK, text)
    text = _ASSIGNED.sub(lambda found: found[1] + (found[2] if MASK in found[2] else masked_text(found[2])), text)
    return SECRET_VALUE.sub(lambda found: masked_text(found[0]), text)


def _unmasked(shown: Any, stored: Any, *, is_secret: bool) -> Any:
    if isinstance(shown, dict) and isinstance(stored, dict):
        return {
            key: _unmasked(inner, stored[key], is_secret=is_secret or is_secret_name(str(key)))
            if key in stored
            else inner
            for key, inner in shown.items()
        }
    if isinstance(shown, list) and isinstance(stored, list):
        common = min(len(shown), len(stored))
        pairs = zip(shown[:common], stored[:common], strict=True)
        return [_unmasked(inner, kept, is_secret=is_secret) for inner, kept in pairs] + shown[common:]
    if isinstance(shown, str) and MASK in shown and shown == _masked(stored, is_secret=is_secret):
        return stored
    return shown


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value
