"""What a training configuration may be: JSON that every database and every provider takes. Pure."""

import json
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

MAX_CONFIG_BYTES = 1024 * 1024
MAX_DEPTH = 40
MAX_NAME_CHARACTERS = 255
# Larger ones cannot be written as JSON by everybody who passes them on.
MAX_INTEGER_BITS = 63
DATASETS_KEY = "dataloader_config"


class InvalidField(ValueError):
    """What somebody gave cannot be used; ``field`` names it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


def read_json(text: str, field: str) -> Any:
    """Read JSON that somebody typed. Raises ``InvalidField`` that tells the line."""
    if len(text.encode("utf-8", "replace")) > MAX_CONFIG_BYTES:
        raise InvalidField(field, _too_large())
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        message = f"Line {error.lineno}, column {error.colno}: {error.msg}."
        raise InvalidField(field, message) from None
    except RecursionError:
        raise InvalidField(field, _too_deep()) from None
    except ValueError as error:
        raise InvalidField(field, str(error)) from None


def separate(config: object, datasets: object = None) -> tuple[dict[str, Any], list[Any]]:
    """A checked configuration and its datasets, which may also stand inside it. Raises ``InvalidField``."""
    if not isinstance(config, Mapping):
        raise InvalidField("config", "This must be a JSON object.")
    inner = dict(config)
    within = inner.pop(DATASETS_KEY, None)
    if within is not None and datasets is not None and within != datasets:
        raise InvalidField(DATASETS_KEY, "This stands inside the configuration too, and differs there.")
    found = datasets if datasets is not None else within
    if not isinstance(found, list | None):
        raise InvalidField(DATASETS_KEY, "This must be a list of datasets.")
    for number, dataset in enumerate(found or [], start=1):
        if not isinstance(dataset, Mapping):
            raise InvalidField(DATASETS_KEY, f"Dataset {number} must be a JSON object.")
    _check(inner, "config")
    _check(found or [], DATASETS_KEY)
    return inner, found or []


def whole(config: Mapping[str, Any], datasets: list[Any]) -> dict[str, Any]:
    """A configuration with its datasets inside, as SimpleTuner's command line reads it."""
    return {**config, DATASETS_KEY: datasets}


def setting(config: Mapping[str, Any], name: str) -> str:
    """A setting that is a text, also under its name as an option of the command line; empty if there is none."""
    value = config.get(name, config.get(f"--{name}"))
    return value if isinstance(value, str) else ""


def _check(value: Any, field: str) -> None:
    problem = _problem(value, MAX_DEPTH)
    if problem:
        raise InvalidField(field, problem)
    if len(json.dumps(value, ensure_ascii=False).encode()) > MAX_CONFIG_BYTES:
        raise InvalidField(field, _too_large())


def _problem(value: Any, depth: int) -> str:
    if isinstance(value, str):
        return _problem_of_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "A number in it is infinite, or none at all."
    if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
        return "A whole number in it is too large."
    if isinstance(value, Mapping | list):
        if not depth:
            return _too_deep()
        if isinstance(value, list):
            return next(filter(None, (_problem(inner, depth - 1) for inner in value)), "")
        texts = filter(None, (_problem_of_text(key) for key in value))
        return next(texts, "") or next(filter(None, (_problem(inner, depth - 1) for inner in value.values())), "")
    return ""


def _problem_of_text(text: str) -> str:
    if "\x00" in text:
        return "A text in it holds the character NUL."
    try:
        text.encode()
    except UnicodeEncodeError:
        return "A text in it is no Unicode."
    return ""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        (double, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"“{double[:64]}” stands in it twice.")
    return found


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not a number that JSON knows.")


def _too_large() -> str:
    return f"This is larger than {MAX_CONFIG_BYTES // 1024} KiB."


def _too_deep() -> str:
    return f"This is nested deeper than {MAX_DEPTH} levels."
