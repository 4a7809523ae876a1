"""The pages of stored configurations."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from jobs.access import SUBMIT, VIEW_OWN, Actor
from jobs.presentation.new_job import as_text
from jobs.presentation.retold import retold
from jobs.presentation.stored_configs import config_rows
from jobs.services import training_configs
from jobs.services.training_configs import ConfigNotFound, get_config, may_change
from jobs.training_config import InvalidField, read_json
from jobs.views.actor import actor_of
from jobs.views.forms import ConfigForm, problems, typed
from providers.masking import masked

SHOWN_AT = {"dataloader_config": "datasets"}


@require_safe
@never_cache
def config_list(request: HttpRequest) -> HttpResponse:
    """Everything that is kept."""
    actor = _allowed(request, VIEW_OWN)
    rows = config_rows(training_configs.stored_configs(), actor, timezone.now())
    context = {"rows": rows, "may_submit": actor.can(SUBMIT)}
    return render(request, "jobs/configs.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def new_config(request: HttpRequest) -> HttpResponse:
    """A form for a new one."""
    actor = _allowed(request, SUBMIT)
    if request.method == "POST":
        return _save(request, actor, name=None)
    return _form(request, {"config": "{\n}"}, is_new=True)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def edit_config(request: HttpRequest, name: str) -> HttpResponse:
    """One configuration: to be changed by who may, to be read by everybody else."""
    actor = _allowed(request, VIEW_OWN)
    try:
        kept = get_config(name)
    except ConfigNotFound as error:
        return _gone(request, error)
    if request.method == "POST":
        _allowed(request, SUBMIT)
        return _save(request, actor, name=name)
    values = {
        "name": kept.name,
        "description": kept.description,
        "config": as_text(masked(kept.config)),
        "datasets": as_text(masked(kept.dataloader_config)) if kept.dataloader_config else "",
    }
    return _form(request, values, can_change=actor.can(SUBMIT) and may_change(actor, kept))


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def delete_config(request: HttpRequest, name: str) -> HttpResponse:
    """Ask whether to delete one; when that was confirmed, do it."""
    actor = _allowed(request, SUBMIT)
    try:
        if request.method == "POST":
            training_configs.delete_config(actor, name)
            messages.success(request, _("“%(name)s” was deleted.") % {"name": name})
            return redirect("configs")
        kept = get_config(name)
    except ConfigNotFound as error:
        return _gone(request, error)
    if not may_change(actor, kept):
        raise PermissionDenied
    return render(request, "jobs/config_delete.html", {"config": kept})


def _allowed(request: HttpRequest, permission: str) -> Actor:
    actor = actor_of(request)
    if not actor.can(permission):
        raise PermissionDenied
    return actor


def _save(request: HttpRequest, actor: Actor, *, name: str | None) -> HttpResponse:
    # Of one that exists, the address says the name.
    form = ConfigForm(request.POST.dict() | ({} if name is None else {"name": name}))
    values, wrong = typed(form), problems(form)
    if not wrong:
        try:
            kept, _is_new = training_configs.save_config(
                actor,
                form.cleaned_data["name"],
                config=read_json(values["config"], "config"),
                dataloader_config=read_json(values["datasets"], "datasets") if values["datasets"].strip() else None,
                description=form.cleaned_data["description"],
                is_new=name is None,
            )
        except InvalidField as error:
            wrong = {SHOWN_AT.get(error.field, error.field): retold(error.message)}
        else:
            messages.success(request, _("“%(name)s” was saved.") % {"name": kept.name})
            return redirect("config-edit", kept.name)
    return _form(request, values, wrong=wrong, is_new=name is None, status=400)


def _form(
    request: HttpRequest,
    values: dict[str, Any],
    *,
    wrong: dict[str, str] | None = None,
    is_new: bool = False,
    can_change: bool = True,
    status: int = 200,
) -> HttpResponse:
    context = {
        "values": values,
        "wrong": wrong or {},
        "is_new": is_new,
        "can_change": can_change,
        "may_submit": actor_of(request).can(SUBMIT),
    }
    return render(request, "jobs/config_edit.html", context, status=status)


def _gone(request: HttpRequest, error: ConfigNotFound) -> HttpResponse:
    messages.error(request, retold(error))
    return redirect("configs")
