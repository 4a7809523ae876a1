"""What can be done with the list as a whole: take it along as a file, and cancel what was selected in it."""

from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from jobs.models import UnifiedJob
from jobs.presentation.job_csv import MOST_ROWS, csv_chunks
from jobs.presentation.job_rows import job_rows
from jobs.presentation.list_state import ListState
from jobs.presentation.listing import filters_of, narrowed
from jobs.presentation.retold import retold
from jobs.services import audit, cancelling, job_filters
from jobs.services.cancelling import MOST_AT_ONCE
from jobs.views.actions import back_to
from jobs.views.actor import actor_of


@require_safe
@never_cache
def export(request: HttpRequest) -> StreamingHttpResponse:
    """Every job that the list's address is about, as a CSV file; of more than can be sent, the last are left out."""
    actor, now = actor_of(request), timezone.now()
    state, filters = filters_of(ListState.read(request.GET), actor)
    if request.method == "GET":
        audit.record(actor, "jobs.export", filters=state.parameters)
    jobs = narrowed(job_filters.matching(actor, filters), state, now)
    part = f"-first-{MOST_ROWS}" if jobs[MOST_ROWS : MOST_ROWS + 1].exists() else ""
    chunks = csv_chunks(jobs, state, now)
    response = StreamingHttpResponse(
        _in_threads(chunks) if isinstance(request, ASGIRequest) else chunks, content_type="text/csv; charset=utf-8"
    )
    response.headers["Content-Disposition"] = f'attachment; filename="jobs-{now:%Y-%m-%d}{part}.csv"'
    return response


@require_http_methods(["GET", "HEAD", "POST"])
def cancel_selected(request: HttpRequest) -> HttpResponse:
    """Ask whether to cancel several jobs; when their number was typed, do it and return to the list."""
    actor = actor_of(request)
    wanted = list(dict.fromkeys(request.POST.getlist("job_id")))[:MOST_AT_ONCE]
    found = UnifiedJob.objects.visible_to(actor).filter(job_id__in=[name for name in wanted if "\x00" not in name])
    rows = [row for row in job_rows(found.newest_first(), timezone.now(), actor=actor) if row.can_cancel]
    if not rows:
        if request.method == "POST":
            messages.info(request, _("Nothing was selected that could be cancelled."))
        return back_to(request, reverse("dashboard"))
    typed = request.POST.get("count", "").strip()
    if typed == str(len(rows)):
        _tell(request, cancelling.cancel_jobs(actor, [row.job_id for row in rows]))
        return back_to(request, reverse("dashboard"))
    if "count" in request.POST:
        messages.error(request, _("Nothing was cancelled: type the number of jobs."))
    context = {"rows": rows, "count": len(rows), "next": request.POST.get("next", "")}
    return render(request, "jobs/cancel_selected.html", context)


def _tell(request: HttpRequest, outcomes: list[cancelling.BatchOutcome]) -> None:
    refused = [outcome for outcome in outcomes if outcome.error is not None]
    asked = len(outcomes) - len(refused)
    if asked:
        told = ngettext("Cancel requested for %(count)s job", "Cancel requested for %(count)s jobs", asked)
        messages.success(request, told % {"count": asked})
    for outcome in refused[:3]:
        messages.error(request, format_html("{}: {}", outcome.job_id, retold(outcome.error)))
    if len(refused) > 3:
        messages.error(request, _("And %(count)s more were not cancelled.") % {"count": len(refused) - 3})


async def _in_threads(chunks: Iterator[str]) -> AsyncIterator[str]:
    """The same, without holding up the event loop while the database is read."""

    def following() -> str | None:
        return next(chunks, None)

    while (chunk := await sync_to_async(following)()) is not None:
        yield chunk
