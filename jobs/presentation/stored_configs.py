"""Stored configurations as rows of their page."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from jobs.access import SUBMIT, Actor
from jobs.models import TrainingConfig
from jobs.presentation.formats import Moment, moment
from jobs.services.training_configs import may_change
from jobs.training_config import setting


@dataclass(frozen=True, slots=True)
class ConfigRow:
    """One stored configuration."""

    name: str
    description: str
    kind: str
    owner: str
    updated: Moment | None
    can_change: bool


def config_rows(configs: Iterable[TrainingConfig], actor: Actor, now: datetime) -> list[ConfigRow]:
    """Each of them, with what this reader may do with it."""
    return [
        ConfigRow(
            name=config.name,
            description=config.description,
            kind=" ".join(filter(None, (setting(config.config, key) for key in ("model_family", "model_type")))),
            owner=config.owner.get_username() if config.owner else "",
            updated=moment(config.updated_at, now),
            can_change=actor.can(SUBMIT) and may_change(actor, config),
        )
        for config in configs
    ]
