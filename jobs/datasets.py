"""Which datasets of a training configuration lie on somebody's own machine, by SimpleTuner's rules. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

LOCAL = "local"
# Read by the trainer from where they are, whatever else they say.
REMOTE_TYPES = frozenset({"aws", "s3", "gcs", "azure", "huggingface", "webshart"})
# Made by the trainer itself, not read from anywhere.
MADE_BY_TRAINER = ("embeds", "cache")


def local_datasets(datasets: Iterable[Mapping[str, Any]]) -> list[str]:
    """The names of those that a trainer elsewhere can only read from an uploaded archive."""
    return [_name(dataset, number) for number, dataset in enumerate(datasets, start=1) if _is_local(dataset)]


def _is_local(dataset: Mapping[str, Any]) -> bool:
    if dataset.get("disabled") is True or dataset.get("disable") is True:
        return False
    if str(dataset.get("dataset_type") or "").endswith(MADE_BY_TRAINER):
        return False
    kind = str(dataset.get("type") or LOCAL).lower()
    return kind == LOCAL or (kind not in REMOTE_TYPES and bool(dataset.get("instance_data_dir")))


def _name(dataset: Mapping[str, Any], number: int) -> str:
    name = dataset.get("id")
    return name if isinstance(name, str) and name else f"dataset {number}"
