"""What the form above the list offers."""

from dataclasses import dataclass

from django.conf import settings
from django.utils.translation import gettext as _

from jobs.access import VIEW_ALL, Actor
from jobs.presentation.job_rows import hardware_labels
from jobs.presentation.list_state import MINE, SORTS, ListState, owner_word
from jobs.services.job_filters import owners_of_jobs
from providers import names


@dataclass(frozen=True, slots=True)
class Option:
    """One of several; ``value`` stands in the address."""

    value: str
    label: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class ListOptions:
    """``owners`` is empty where there is nothing to choose between."""

    providers: list[Option]
    owners: list[Option]
    hardware: list[Option]
    sorts: list[Option]


def list_options(state: ListState, actor: Actor) -> ListOptions:
    """The choices, with those marked that the address makes."""
    machines = hardware_labels()
    if state.hardware:
        # A machine that has no price can be asked for all the same.
        machines = {state.hardware: state.hardware} | machines
    sorts = {
        "newest": _("Newest first"),
        "oldest": _("Oldest first"),
        "started": _("Started last"),
        "duration": _("Longest first"),
        "cost": _("Most expensive first"),
        "progress": _("Furthest first"),
    }
    return ListOptions(
        providers=_options({"": _("All providers")} | names.LABELS, state.provider),
        owners=_owners(state, actor),
        hardware=_options(
            {"": _("All hardware")} | dict(sorted(machines.items(), key=lambda item: item[1])), state.hardware
        ),
        sorts=_options({name: sorts[name] for name in SORTS}, state.sort),
    )


def _owners(state: ListState, actor: Actor) -> list[Option]:
    if settings.SINGLE_USER or not actor.can(VIEW_ALL):
        return []
    people = {owner_word(name): name for name in owners_of_jobs(actor)}
    return _options({"": _("Everyone"), MINE: _("Mine")} | people, state.owner)


def _options(choices: dict[str, str], chosen: str) -> list[Option]:
    return [Option(value, label, value == chosen) for value, label in choices.items()]
