"""Configurations that are kept here: everybody of the team sees them, their owner changes them."""

import re
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction

from jobs.access import MANAGE_ACCOUNTS, Actor
from jobs.models import TrainingConfig
from jobs.models.submission import CONFIG_NAME_PATTERN
from jobs.services import audit
from jobs.training_config import InvalidField, separate
from providers.masking import has_mask, unmasked

NAME = re.compile(rf"{CONFIG_NAME_PATTERN}\Z")
MAX_DESCRIPTION_CHARACTERS = 2000


class ConfigNotFound(Exception):
    """No configuration of that name is kept here."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no configuration named {name[:128]!r} here.")


def stored_configs() -> Sequence[TrainingConfig]:
    """All of them, by name."""
    return list(TrainingConfig.objects.select_related("owner").order_by("name"))


def get_config(name: str) -> TrainingConfig:
    """The one of that name. Raises ``ConfigNotFound``."""
    found = TrainingConfig.objects.select_related("owner").filter(name=name).first() if NAME.match(name) else None
    if found is None:
        raise ConfigNotFound(name)
    return found


def may_change(actor: Actor, config: TrainingConfig) -> bool:
    """Whether it is the actor's own, or he looks after everybody's."""
    return actor.can(MANAGE_ACCOUNTS) or (config.owner_id is not None and config.owner_id == actor.user_id)


def save_config(
    actor: Actor,
    name: str,
    *,
    config: object,
    dataloader_config: object = None,
    description: str | None = None,
    is_new: bool = False,
) -> tuple[TrainingConfig, bool]:
    """Keep a configuration under a name; returns it, and whether it is new. A new one belongs to the actor.

    Secrets that are masked as they were shown stay what they are. ``is_new``: refuse a name that is taken.
    Raises ``InvalidField``, and ``PermissionDenied`` for another's.
    """
    if not NAME.match(name):
        raise InvalidField("name", "Letters, digits, blanks, and . _ - only, up to 128; the first a letter or digit.")
    if len(description or "") > MAX_DESCRIPTION_CHARACTERS or "\x00" in (description or ""):
        raise InvalidField("description", f"At most {MAX_DESCRIPTION_CHARACTERS} characters.")
    values, datasets = separate(config, dataloader_config)
    try:
        return _save(actor, name, values, datasets, description, is_new=is_new)
    except IntegrityError:
        # Somebody else has just taken the name; now there is a row to be changed, or to be refused.
        return _save(actor, name, values, datasets, description, is_new=is_new)


@transaction.atomic
def delete_config(actor: Actor, name: str) -> None:
    """Keep it no longer; jobs that were submitted with it have their own copy. Raises ``ConfigNotFound``."""
    config = get_config(name)
    _require_right(actor, config)
    config.delete()
    audit.record(actor, "config.delete", name)


def require_unmasked(config: Any, datasets: Any) -> None:
    """Raises ``InvalidField`` if a secret in it is not there, but its mask."""
    for field, value in (("config", config), ("dataloader_config", datasets)):
        if has_mask(value):
            raise InvalidField(field, "A secret in it is masked (••••). Write it out, or leave it out.")


@transaction.atomic
def _save(
    actor: Actor, name: str, values: dict[str, Any], datasets: list[Any], description: str | None, *, is_new: bool
) -> tuple[TrainingConfig, bool]:
    known = TrainingConfig.objects.select_for_update().filter(name=name).first()
    if known is not None:
        if is_new:
            raise InvalidField("name", "There is a configuration of this name already.")
        _require_right(actor, known)
        values, datasets = unmasked(values, known.config), unmasked(datasets, known.dataloader_config)
    require_unmasked(values, datasets)
    kept = known or TrainingConfig(name=name, owner_id=actor.user_id)
    kept.config, kept.dataloader_config = values, datasets
    if description is not None:
        kept.description = description
    kept.save()
    audit.record(actor, "config.change" if known else "config.create", name)
    return kept, known is None


def _require_right(actor: Actor, config: TrainingConfig) -> None:
    if not may_change(actor, config):
        raise PermissionDenied(f"The configuration {config.name!r} belongs to somebody else.")
