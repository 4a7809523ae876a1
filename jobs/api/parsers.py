"""Reading requests whose JSON may be large: within a limit, and without a 500 for what is nested too deep."""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from django.core.exceptions import RequestDataTooBig
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from jobs.training_config import MAX_CONFIG_BYTES

# A configuration and its datasets, each of which may be written with escapes.
MAX_BODY_BYTES = 4 * MAX_CONFIG_BYTES


class BoundedJsonParser(JSONParser):
    """JSON up to 4 MiB."""

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Read it. Raises ``RequestDataTooBig`` and ``ParseError``."""
        body = stream.read(MAX_BODY_BYTES + 1)
        if len(body) > MAX_BODY_BYTES:
            raise RequestDataTooBig(f"A request may have {MAX_BODY_BYTES // 1024**2} MiB at most.")
        try:
            return super().parse(BytesIO(body), media_type, parser_context)
        except RecursionError:
            raise ParseError("The JSON is nested too deep.") from None
