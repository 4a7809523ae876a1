"""Every address that the product answers at, from its own list of them: what is added is looked at by itself.

An address with a part that is not known here fails the walk, and says what to add to ``VALUES``.
"""

import re
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RegexPattern, RoutePattern

PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
# What stands for the variable parts of addresses, by the name of the part.
VALUES: dict[str, str] = {
    "provider": "replicate",
    "name": "example-flux-lora",
    "key_id": "1",
    "key": "workers",
    "upload_id": "1",
    "archive": "1",
    "app_label": "jobs",
    "content_type_id": "1",
    "object_id": "1",
    "id": "1",
    "pk": "1",
    "url": "nowhere",
}
# Addresses that are no routes, by their beginning.
REGEXES = {"^api(?:/": "api/nowhere", "^(?P<app_label>": "jobs/", "(?P<url>.*)$": "nowhere"}
ADMIN_MODEL = re.compile(r"admin/(\w+)/(\w+)/")


def paths(job_id: str, extra: dict[str, str] | None = None) -> Iterator[str]:
    """Each path once, with a job that exists wherever one is named."""
    values = VALUES | {"job_id": job_id} | (extra or {})
    for route in _routes(get_resolver().url_patterns, ""):
        if "<" not in route:
            yield f"/{route}"
            continue
        model = ADMIN_MODEL.match(route)
        known = values | (
            dict.fromkeys(("object_id", "id"), _key(*model.groups())) if model and model[1] != "r" else {}
        )
        unknown = [name for name in PARAMETER.findall(route) if name not in known]
        assert not unknown, f"{route}: tests/security/surface.py does not know a value for {unknown}"
        yield "/" + PARAMETER.sub(lambda match: known[match[1]], route)  # noqa: B023


def _routes(patterns: list[Any], before: str) -> Iterator[str]:
    for entry in patterns:
        pattern = entry.pattern
        if isinstance(pattern, RoutePattern):
            part = str(pattern)
        else:
            assert isinstance(pattern, RegexPattern)
            examples = [example for beginning, example in REGEXES.items() if str(pattern).startswith(beginning)]
            assert examples, f"tests/security/surface.py knows no example of {pattern!s}"
            part = examples[0]
        if isinstance(entry, URLResolver):
            yield from _routes(entry.url_patterns, before + part)
        elif isinstance(entry, URLPattern):
            yield before + part


def _key(app_label: str, model_name: str) -> str:
    """The key of a row that exists, if there is one."""
    try:
        model = apps.get_model(app_label, model_name)
    except LookupError:
        return "1"
    row = model._default_manager.first()
    return str(row.pk) if row is not None else "1"
