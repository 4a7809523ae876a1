"""What the page for a new job offers, and what it is filled in with."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from jobs.models import DatasetArchive, HardwarePrice, TrainingConfig
from jobs.presentation.formats import file_size, money
from jobs.services.archives import MAX_ARCHIVE_BYTES, is_available
from jobs.services.submission_sources import Material, shown_webhook_url
from jobs.training_config import setting
from providers import names
from providers.masking import masked
from providers.profiles import DEFAULT_PROFILE, PROFILES

SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, slots=True)
class ProfileChoice:
    """A machine and what it costs; ``hourly_usd`` is empty if no price is known."""

    profile_id: str
    label: str
    hourly: str
    hourly_usd: str


@dataclass(frozen=True, slots=True)
class ArchiveView:
    """An archive that goes along."""

    archive_id: str
    name: str
    size: str


def profile_choices(provider: str = names.REPLICATE) -> list[ProfileChoice]:
    """The machines on offer, with today's prices."""
    book, today = HardwarePrice.objects.book(), timezone.now().date()
    choices = []
    for profile in PROFILES.get(provider, {}).values():
        price = book.price(provider, profile.hardware, today)
        hourly = price.usd_per_second * SECONDS_PER_HOUR if price else None
        choices.append(
            ProfileChoice(
                profile_id=profile.profile_id,
                label=profile.label,
                hourly=_("%(price)s per hour") % {"price": money(hourly)} if hourly else _("price not known"),
                hourly_usd=f"{hourly.quantize(Decimal('0.0001'))}" if hourly else "",
            )
        )
    return choices


def config_names() -> list[tuple[str, str]]:
    """The stored configurations to choose from, each with what it trains."""
    kept = TrainingConfig.objects.order_by("name").only("name", "config")
    return [(config.name, _kind(config.config)) for config in kept]


def new_key() -> str:
    """For a form that is sent twice by mistake: it is one job."""
    return f"page-{uuid.uuid4().hex}"


def empty_form() -> dict[str, Any]:
    """What stands in an empty form."""
    return {"config": "", "datasets": "", "hardware_profile": DEFAULT_PROFILE, "idempotency_key": new_key()}


def filled_form(material: Material) -> dict[str, Any]:
    """The form filled in with an earlier configuration; its secrets are masked."""
    return empty_form() | {
        "config": as_text(masked(dict(material.config))),
        "datasets": as_text(masked(material.datasets)) if material.datasets else "",
        "config_name": material.config_name,
        "hardware_profile": material.hardware_profile or DEFAULT_PROFILE,
        "tracker_run_name": material.tracker_run_name,
        "webhook_url": shown_webhook_url(material.webhook_url),
        "reuse_archive": material.archive is not None,
    }


def archive_view(archive: DatasetArchive | None) -> ArchiveView | None:
    """An archive that can go along; ``None`` if it is there no more."""
    if archive is None or not is_available(archive):
        return None
    return ArchiveView(archive.archive_id, archive.name, file_size(archive.size_bytes))


def archive_limit() -> str:
    """The largest archive, in words."""
    return file_size(MAX_ARCHIVE_BYTES)


def as_text(value: object) -> str:
    """JSON as people edit it."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def _kind(config: Mapping[str, Any]) -> str:
    return " ".join(filter(None, (setting(config, "model_family"), setting(config, "model_type"))))
