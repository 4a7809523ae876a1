"""What every page shows: which store this is, and which version."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest


def deployment(_request: HttpRequest) -> dict[str, Any]:
    """Template variables that every page has."""
    return {"is_sandbox": settings.IS_SANDBOX, "version": settings.VERSION}
