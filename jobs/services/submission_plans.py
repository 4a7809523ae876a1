"""What somebody wants to run, checked and made definite: nothing is stored here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.core.exceptions import PermissionDenied

from jobs.access import CHANGE_LIMITS, Actor
from jobs.datasets import local_datasets
from jobs.models import DatasetArchive, UnifiedJob
from jobs.models.queue import MAXIMUM_PRIORITY
from jobs.services import archives
from jobs.services.lookup import JobNotFound, get_job
from jobs.services.submission_sources import Material, named_material
from jobs.services.training_configs import require_unmasked
from jobs.training_config import MAX_NAME_CHARACTERS, InvalidField, separate, setting
from jobs.webhook_url import check_webhook_url
from providers import names
from providers.masking import unmasked
from providers.profiles import HardwareProfile, find_profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What somebody wants to run. Either ``config``, or ``config_name_to_load``, or ``material`` that was looked up.

    ``masked_from``: what the configuration was copied from, with its secrets masked as they are shown.
    ``reuse_archive``: its archive goes along too.
    """

    provider: str = names.REPLICATE
    config: object = None
    dataloader_config: object = None
    config_name: str = ""
    config_name_to_load: str = ""
    material: Material | None = None
    masked_from: Material | None = None
    reuse_archive: bool = False
    hardware_profile: str = ""
    webhook_url: str = ""
    tracker_run_name: str = ""
    idempotency_key: str = ""
    upload_id: str = ""
    priority: int | None = None
    budget_usd: Decimal | None = None
    retry_of: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A request that was found to be in order."""

    provider: str
    profile: HardwareProfile
    config: Mapping[str, Any]
    datasets: list[Any]
    config_name: str
    webhook_url: str
    tracker_run_name: str
    archive: DatasetArchive | None
    priority: int | None
    budget_usd: Decimal | None
    retry_of: UnifiedJob | None
    notes: tuple[str, ...] = field(default=())


def plan(actor: Actor, request: Request) -> Plan:
    """What a request comes to. Raises ``InvalidField``, ``ConfigNotFound``, ``PermissionDenied``."""
    if request.priority is not None:
        if not actor.can(CHANGE_LIMITS):
            raise PermissionDenied("Only who may change the limits of the queue sets a priority.")
        if not 0 <= request.priority <= MAXIMUM_PRIORITY:
            raise InvalidField("priority", f"A priority is a number from 0 to {MAXIMUM_PRIORITY}.")
    material = _material(actor, request)
    profile_name = request.hardware_profile or material.hardware_profile
    try:
        profile = find_profile(request.provider, profile_name)
    except ValueError as error:
        raise InvalidField("hardware_profile", str(error)) from None
    archive, notes = _archive(actor, request, material)
    run_name = request.tracker_run_name or material.tracker_run_name
    return Plan(
        provider=request.provider,
        profile=profile,
        config=material.config,
        datasets=material.datasets,
        config_name=_name(request, material, run_name),
        webhook_url=_webhook_url(request.webhook_url or material.webhook_url),
        tracker_run_name=run_name,
        archive=archive,
        priority=request.priority,
        budget_usd=request.budget_usd,
        retry_of=_retried(actor, request.retry_of),
        notes=(*notes, *_not_sent(material, archive)),
    )


def _material(actor: Actor, request: Request) -> Material:
    if request.material is not None:
        found = request.material
    elif request.config_name_to_load and request.config is None:
        found = named_material(actor, request.config_name_to_load)
    elif request.config is None or request.config_name_to_load:
        raise InvalidField("config", "Give either a configuration or the name of one to load.")
    else:
        config, datasets = separate(request.config, request.dataloader_config)
        if request.masked_from is not None:
            config = unmasked(config, request.masked_from.config)
            datasets = unmasked(datasets, request.masked_from.datasets)
        archive = request.masked_from.archive if request.masked_from and request.reuse_archive else None
        found = Material(config=config, datasets=datasets, archive=archive)
    require_unmasked(found.config, found.datasets)
    return found


def _name(request: Request, material: Material, run_name: str) -> str:
    given = request.config_name or material.config_name or run_name or setting(material.config, "tracker_run_name")
    return given.strip()[:MAX_NAME_CHARACTERS]


def _archive(actor: Actor, request: Request, material: Material) -> tuple[DatasetArchive | None, tuple[str, ...]]:
    if request.upload_id:
        try:
            found = archives.find_archive(actor, request.upload_id)
        except archives.ArchiveNotFound as error:
            raise InvalidField("upload_id", str(error)) from None
        if not archives.is_available(found):
            raise InvalidField("upload_id", "This upload is not kept here any more. Upload it anew.")
        return found, ()
    if material.archive is None:
        return None, ()
    if not archives.is_available(material.archive):
        return None, ("The dataset archive of the earlier job is not kept any more: none goes with this one.",)
    return material.archive, ()


def _not_sent(material: Material, archive: DatasetArchive | None) -> tuple[str, ...]:
    """What the trainer will miss. No error: a path may mean something where it runs."""
    local = local_datasets(material.datasets) if archive is None else []
    if not local:
        return ()
    return (f"No archive goes with this job, so its trainer gets nothing of your own machine: {', '.join(local)}.",)


def _webhook_url(url: str) -> str:
    if not url:
        return ""
    try:
        return check_webhook_url(url)
    except ValueError as error:
        raise InvalidField("webhook_url", f"The URL {error}.") from None


def _retried(actor: Actor, job_id: str) -> UnifiedJob | None:
    if not job_id:
        return None
    try:
        return get_job(job_id, UnifiedJob.objects.visible_to(actor))
    except JobNotFound as error:
        raise InvalidField("retry_of", str(error)) from None
