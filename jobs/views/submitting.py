"""The page for a new job, and what its form and the Retry button do."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods

from jobs.access import CHANGE_LIMITS, SUBMIT, Actor
from jobs.archive_uploads import REFUSALS, ArchiveUploads
from jobs.models import DatasetArchive, UnifiedJob
from jobs.presentation import new_job as presented
from jobs.presentation.retold import retold
from jobs.services import archives, retrying, submitting
from jobs.services.cost_limits import CostLimitReached
from jobs.services.lookup import InvalidState, JobNotFound, get_job
from jobs.services.submission_plans import Request
from jobs.services.submission_sources import Material, material_of, stored_material
from jobs.services.submitting import Submitted
from jobs.services.training_configs import ConfigNotFound, get_config
from jobs.training_config import InvalidField, read_json
from jobs.views.actor import actor_of
from jobs.views.forms import NewJobForm, problems, typed
from jobs.views.pages import unknown_job
from providers.errors import ProviderError

ARCHIVE_FIELD, CONFIG_FILE_FIELD, DATASETS_FILE_FIELD = "archive", "config_file", "datasets_file"
# Where the page shows what the service says of its fields.
SHOWN_AT = {
    "dataloader_config": "datasets",
    "upload_id": ARCHIVE_FIELD,
    CONFIG_FILE_FIELD: "config",
    DATASETS_FILE_FIELD: "datasets",
}


@csrf_exempt  # the token is checked below: to look for it reads the form, which has to know by then where the file goes
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def new_job(request: HttpRequest) -> HttpResponse:
    """The form, empty or filled in from a stored configuration or a job; or what was sent with it."""
    actor = _submitter(request)
    if request.method != "POST":
        return _empty(request, actor)
    uploads = ArchiveUploads(ARCHIVE_FIELD, (CONFIG_FILE_FIELD, DATASETS_FILE_FIELD))
    request.upload_handlers = [uploads]
    try:
        return _sent(request, uploads)
    except UnreadablePostError:
        return _form(request, actor, presented.empty_form(), {"": _("Not all of the form arrived. Try again.")}, 400)
    except RequestDataTooBig:
        return _form(request, actor, presented.empty_form(), {"": _("The form is too large.")}, 413)
    finally:
        uploads.discard()


@require_http_methods(["GET", "HEAD", "POST"])
def retry_job(request: HttpRequest, job_id: str) -> HttpResponse:
    """Submit a job again as it was, and go to the new one. A reload of this address alone does nothing."""
    actor = _submitter(request)
    if request.method != "POST":
        return redirect("job", job_id)
    key = request.POST.get("key", "").replace("\x00", "")
    try:
        done = retrying.retry_job(actor, job_id, idempotency_key=f"retry-{key}"[:255] if key else "")
    except JobNotFound:
        return unknown_job(request, job_id)
    except (InvalidState, CostLimitReached, InvalidField, ProviderError) as error:
        messages.error(request, retold(error))
        return redirect("job", job_id)
    _tell(request, done)
    return redirect("job", done.job.job_id)


def _submitter(request: HttpRequest) -> Actor:
    actor = actor_of(request)
    if not actor.can(SUBMIT):
        raise PermissionDenied
    return actor


def _empty(request: HttpRequest, actor: Actor) -> HttpResponse:
    """Filled in if the address names a job (``from``) or a stored configuration (``config``)."""
    job_id, name = request.GET.get("from", ""), request.GET.get("config", "")
    try:
        material = _source(actor, source_job=job_id, loaded=name)
    except JobNotFound:
        return unknown_job(request, job_id)
    except (InvalidState, ConfigNotFound) as error:
        return _form(request, actor, presented.empty_form(), {"": retold(error)})
    if material is None:
        return _form(request, actor, presented.empty_form())
    values = presented.filled_form(material) | {"source_job": job_id, "loaded": "" if job_id else name}
    return _form(request, actor, values, source=material)


@csrf_protect
def _sent(request: HttpRequest, uploads: ArchiveUploads) -> HttpResponse:
    actor = actor_of(request)
    form = NewJobForm(request.POST)
    values, wrong = typed(form), problems(form)
    source, kept = None, None
    try:
        source = _source(actor, source_job=values["source_job"], loaded=values["loaded"])
        _take_files(uploads, values)
        kept = _kept_archive(actor, uploads, values)
        if not form.is_valid():
            wrong |= _broken_json(values)
            return _form(request, actor, values, wrong, 400, source, kept)
        done = submitting.submit(actor, _request(values, form.cleaned_data, source))
    except InvalidField as error:
        wrong |= {SHOWN_AT.get(error.field, error.field): retold(error.message)}
    except REFUSALS as error:
        wrong |= {ARCHIVE_FIELD: retold(error)}
    except (JobNotFound, InvalidState, ConfigNotFound, CostLimitReached, ProviderError) as error:
        wrong |= {"": retold(error)}
    else:
        _tell(request, done)
        return redirect("job", done.job.job_id)
    return _form(request, actor, values, wrong, 400, source, kept)


def _source(actor: Actor, *, source_job: str, loaded: str) -> Material | None:
    """What the form was filled in with."""
    if source_job:
        return material_of(get_job(source_job, UnifiedJob.objects.visible_to(actor)))
    return stored_material(get_config(loaded)) if loaded else None


def _take_files(uploads: ArchiveUploads, values: dict[str, Any]) -> None:
    """Small files stand for what would have been typed."""
    if isinstance(uploads.problem, InvalidField):
        raise uploads.problem
    for field, target in ((CONFIG_FILE_FIELD, "config"), (DATASETS_FILE_FIELD, "datasets")):
        content = uploads.texts.get(field)
        if content:
            try:
                values[target] = content.decode("utf-8-sig")
            except UnicodeDecodeError:
                raise InvalidField(field, _("This file is no text in UTF-8.")) from None


def _kept_archive(actor: Actor, uploads: ArchiveUploads, values: dict[str, Any]) -> DatasetArchive | None:
    """The archive that came with the form, or before it; it stays although something else may be wrong."""
    if uploads.problem is not None:
        raise uploads.problem
    if uploads.has_archive:
        kept = uploads.keep(actor)
        values["upload_id"] = kept.archive_id
        return kept
    if not values["upload_id"]:
        return None
    try:
        return archives.find_archive(actor, values["upload_id"])
    except archives.ArchiveNotFound as error:
        values["upload_id"] = ""
        raise InvalidField(ARCHIVE_FIELD, str(error)) from None


def _request(values: dict[str, Any], cleaned: dict[str, Any], source: Material | None) -> Request:
    if not values["config"].strip():
        raise InvalidField("config", _("Paste a configuration, or load a stored one."))
    return Request(
        config=read_json(values["config"], "config"),
        dataloader_config=read_json(values["datasets"], "datasets") if values["datasets"].strip() else None,
        masked_from=source,
        reuse_archive=cleaned["reuse_archive"],
        upload_id=values["upload_id"],
        **{
            name: cleaned[name]
            for name in (
                "config_name",
                "hardware_profile",
                "tracker_run_name",
                "webhook_url",
                "budget_usd",
                "priority",
                "idempotency_key",
            )
        },
    )


def _broken_json(values: dict[str, Any]) -> dict[str, str]:
    """What cannot be read, to be told together with what else is wrong."""
    found = {}
    for field in ("config", "datasets"):
        try:
            if values[field].strip():
                read_json(values[field], field)
        except InvalidField as error:
            found[field] = retold(error.message)
    return found


def _form(
    request: HttpRequest,
    actor: Actor,
    values: dict[str, Any],
    wrong: dict[str, str] | None = None,
    status: int = 200,
    source: Material | None = None,
    kept: DatasetArchive | None = None,
) -> HttpResponse:
    context = {
        "values": values,
        "wrong": wrong or {},
        "general": (wrong or {}).get("", ""),
        "profiles": presented.profile_choices(),
        "configs": presented.config_names(),
        "kept": presented.archive_view(kept),
        "reusable": presented.archive_view(source.archive) if source else None,
        "had_archive": source is not None and source.archive is not None,
        "archive_limit": presented.archive_limit(),
        "archive_limit_bytes": archives.MAX_ARCHIVE_BYTES,
        "may_set_priority": actor.can(CHANGE_LIMITS),
    }
    return render(request, "jobs/new.html", context, status=status)


def _tell(request: HttpRequest, done: Submitted) -> None:
    if done.idempotent_hit:
        messages.info(request, _("This was submitted before: here is its job."))
    elif done.queue_position is not None:
        messages.success(request, _("Submitted. Place %(place)s in the queue.") % {"place": done.queue_position})
    else:
        messages.success(request, _("Submitted."))
    for warning in (done.cost_limit_warning, *done.quota_warnings):
        if warning:
            messages.warning(request, retold(warning))
