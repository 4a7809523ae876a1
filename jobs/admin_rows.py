"""What several pages of the administration have in common: who acts, what nobody edits, and where links lead."""

import json
from typing import Any
from urllib.parse import urlencode

from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.access import Actor
from jobs.models import UnifiedJob
from jobs.services.actors import actor_for
from providers.masking import masked


class ReadOnlyMixin:
    """Shown, but neither added, changed nor deleted by hand: these rows are the record of what happened."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


def actor_of(request: HttpRequest) -> Actor:
    """Who asks, as the middleware found; in the admin it is always somebody who is signed in."""
    found: Actor | None = getattr(request, "actor", None)
    return found or actor_for(request.user, via="session")  # type: ignore[arg-type]


def row_link(row: Model | None, text: object = None) -> SafeString | str:
    """A link to the page of a row."""
    if row is None:
        return "–"
    address = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
    return format_html('<a href="{}">{}</a>', address, row if text is None else text)


def list_link(model: type[Model], text: object, **query: object) -> SafeString:
    """A link to the rows of a model that a query lets through."""
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return format_html('<a href="{}?{}">{}</a>', address, urlencode(query), text)


def job_link(job: UnifiedJob | None) -> SafeString | str:
    """A link from what belongs to a job to the job."""
    return row_link(job)


def as_text(value: object) -> SafeString:
    """A structure as indented text, with its secrets masked."""
    return format_html("<pre>{}</pre>", json.dumps(masked(value), ensure_ascii=False, indent=2, default=str))
