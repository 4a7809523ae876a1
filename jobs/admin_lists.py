"""Lists of tables that may have millions of rows: nothing here reads all of them.

A list is counted up to a limit, filters without an index look at the newest rows only, and a search asks indexes.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, TypeVar

from django.contrib import admin
from django.core.paginator import Paginator
from django.db import connection
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from jobs.lifecycle import ACTIVE
from jobs.models import JobQuerySet, UnifiedJob
from providers import names

# Whoever looks for something further down than this filters or searches.
MOST_COUNTED = 10_000
# What a filter or a search without an index looks at.
NEWEST_ROWS = 100_000
# What a search shows; of more than that nobody looks at all.
MOST_FOUND = 1_000

Rows = TypeVar("Rows", bound=Model)


class BoundedPaginator(Paginator[Any]):
    """Pages of the first rows of a list; ``is_cut``: there are more than were counted."""

    is_cut = False

    @cached_property
    def count(self) -> int:
        """How many rows there are, or the limit if there are more."""
        # Only the number is asked for: without the order the database need not read rows in it.
        found: int = self.object_list.order_by()[: MOST_COUNTED + 1].count()  # type: ignore[attr-defined]
        self.is_cut = found > MOST_COUNTED
        return min(found, MOST_COUNTED)


class LargeTableMixin:
    """A list of a table that grows with the jobs."""

    paginator: Any = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50


class JobSearchMixin:
    """A list whose rows each belong to a job, and are found by it."""

    search_fields: Any = ("job",)
    search_help_text: Any = _("An id of the job or its beginning, or a part of its name")

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002
        queryset: QuerySet[Any],
        search_term: str,
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        return (queryset.filter(job__in=job_pks(term)) if term else queryset), False


def job_pks(term: str, jobs: JobQuerySet | None = None) -> list[int]:
    """The keys of jobs that a search means: by either id, by its beginning, or by a part of the name of a newer one."""
    if "\x00" in term:
        # PostgreSQL refuses to look for one.
        return []
    jobs = UnifiedJob.objects.all() if jobs is None else jobs
    beginning = {"job_id__startswith": term}
    if connection.vendor == "sqlite":
        # Its LIKE takes no index; its order of texts is that of their bytes.
        beginning |= {"job_id__gte": term, "job_id__lt": term + "\U0010ffff"}
    return first_found(
        jobs.filter(job_id=term),
        jobs.filter(external_id=term),
        jobs.filter(**beginning),
        newest(jobs).filter(config_name__icontains=term),
    )


def newest(rows: QuerySet[Rows]) -> QuerySet[Rows]:
    """Those of the rows that are among the newest of their table."""
    last = rows.model._default_manager.order_by("-pk").values_list("pk", flat=True).first() or 0
    return rows.filter(pk__gt=last - NEWEST_ROWS)


def first_found(*parts: QuerySet[Any]) -> list[int]:
    """The keys that any of the queries finds. Each takes its own index; OR between them would read all rows."""
    found: dict[int, None] = {}
    for part in parts:
        found |= dict.fromkeys(part.order_by("-pk").values_list("pk", flat=True)[:MOST_FOUND])
    return list(found)


class NewestChoices(admin.SimpleListFilter):
    """The choices of a field, among the newest rows: no index leads to the others.

    ``indexed``: choices that an index leads to, wherever their rows are.
    """

    field: str
    indexed: frozenset[str] = frozenset()

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:  # noqa: ARG002
        return [(str(value), str(label)) for value, label in model_admin.model._meta.get_field(self.field).flatchoices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        value = self.value()
        if value is None:
            return queryset
        rows = queryset if value in self.indexed else newest(queryset)
        return rows.filter(**{self.field: value})


class NewestValues(NewestChoices):
    """The values that a field without choices has in the newest rows."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:  # noqa: ARG002
        rows = newest(model_admin.model._default_manager.order_by())
        values = sorted(value for value in rows.values_list(self.field, flat=True).distinct() if value)
        return [(str(value), str(value)) for value in values]


class WithError(admin.SimpleListFilter):
    """Rows that tell of an error, among the newest."""

    title = _("error, of the newest 100,000")
    parameter_name = "trouble"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:  # noqa: ARG002
        return [("yes", _("With an error"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        return newest(queryset).exclude(error="") if self.value() == "yes" else queryset


class OfProvider(admin.SimpleListFilter):
    """The providers that exist here; nothing to choose from while there is one."""

    title = _("provider")
    parameter_name = "provider"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:  # noqa: ARG002
        return [(name, names.LABELS[name]) for name in names.PROVIDERS] if len(names.PROVIDERS) > 1 else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        return queryset.filter(provider=self.value()) if self.value() else queryset


class WantsAttention(admin.SimpleListFilter):
    """Jobs that an operator looks for; there are few of each, and an index leads to them."""

    title = _("attention")
    parameter_name = "attention"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:  # noqa: ARG002
        return [
            ("cancelling", _("Cancel asked for, not confirmed")),
            ("lost", _("Lost at the provider")),
            ("failing", _("Checks fail")),
            ("unclaimed", _("Active, and nobody's")),
            ("log", _("Log still to be read")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        active = queryset.filter(status__in=ACTIVE)
        match self.value():
            case "cancelling":
                return active.filter(cancel_requested_at__isnull=False)
            case "lost":
                return active.filter(lost_at__isnull=False)
            case "failing":
                return active.filter(failed_checks__gt=0)
            case "unclaimed":
                return active.filter(pk__in=UnifiedJob.objects.unclaimed().active().values("pk"))
            case "log":
                return queryset.filter(next_log_capture_at__isnull=False)
        return queryset


class CreatedWithin(admin.SimpleListFilter):
    """Jobs of the last days. A hierarchy of dates would ask each row for its year."""

    title = _("created")
    parameter_name = "created"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:  # noqa: ARG002
        return [("1", _("Last 24 hours")), ("7", _("Last 7 days")), ("30", _("Last 30 days"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        value = self.value()
        if value not in ("1", "7", "30"):
            return queryset
        return queryset.filter(created_at__gte=timezone.now() - timedelta(days=int(value)))
