"""Reading requests: within a limit, and without a 500 for what is nested too deep or is no text."""

import json
import math
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from django.core.exceptions import RequestDataTooBig
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.parsers import FormParser, JSONParser

from jobs.training_config import MAX_CONFIG_BYTES

# A configuration and its datasets, each of which may be written with escapes.
MAX_BODY_BYTES = 4 * MAX_CONFIG_BYTES
HALF = "There is a lone surrogate in it, which is no character."


class BoundedJsonParser(JSONParser):
    """JSON up to 4 MiB, of which everything can be stored and told again: no NaN, no infinity, no half characters."""

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,  # noqa: ARG002
        parser_context: Mapping[str, Any] | None = None,  # noqa: ARG002
    ) -> Any:
        """Read it. Raises ``RequestDataTooBig``, ``ParseError`` and ``ValidationError``."""
        body = _bounded(stream)
        try:
            text = body.decode()
            found = json.loads(text, parse_constant=_not_a_number, parse_float=_finite)
            if "\\u" in text:
                # Only an escape can bring a surrogate in; a pair of them has become one character by now.
                _require_characters(found)
        except ValueError as error:
            raise ParseError(f"JSON parse error - {error}") from None
        except RecursionError:
            raise ParseError("The JSON is nested too deep.") from None
        return found


class BoundedFormParser(FormParser):
    """The fields of a form, up to 4 MiB."""

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Read it. Raises ``RequestDataTooBig``."""
        return super().parse(BytesIO(_bounded(stream)), media_type, parser_context)


def _bounded(stream: Any) -> bytes:
    body: bytes = stream.read(MAX_BODY_BYTES + 1)
    if len(body) > MAX_BODY_BYTES:
        raise RequestDataTooBig(f"A request may have {MAX_BODY_BYTES // 1024**2} MiB at most.")
    return body


def _require_characters(found: Any) -> None:
    for name, value in found.items() if isinstance(found, dict) else [("request", found)]:
        if not _can_be_told(name):
            raise ValidationError({"request": [HALF]})
        if not _can_be_told(value):
            raise ValidationError({name: [HALF]})


def _can_be_told(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _not_a_number(word: str) -> float:
    raise ValueError(f"{word} is not a number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:32]} is too large a number")
    return number
