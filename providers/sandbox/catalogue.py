"""The models that the simulated account uses, and what a job of each is like."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .plan import Durations, Kind, Style

HARDWARE: tuple[Mapping[str, str], ...] = (
    {"sku": "cpu", "name": "CPU"},
    {"sku": "gpu-t4", "name": "Nvidia T4 GPU"},
    {"sku": "gpu-l40s", "name": "Nvidia L40S GPU"},
    {"sku": "gpu-2x-l40s", "name": "2x Nvidia L40S GPU"},
    {"sku": "gpu-a100-large", "name": "Nvidia A100 (80GB) GPU"},
    {"sku": "gpu-a100-large-2x", "name": "2x Nvidia A100 (80GB) GPU"},
    {"sku": "gpu-h100", "name": "Nvidia H100 GPU"},
    {"sku": "gpu-h100-2x", "name": "2x Nvidia H100 GPU"},
)


def version_of(model: str) -> str:
    """The 64-digit id of a model's one version, the same in every sandbox."""
    return hashlib.sha256(model.encode()).hexdigest()


@dataclass(frozen=True)
class CatalogueModel:
    """A model and its usual job. `seconds_per_step` and `durations` are simulated; `train` is filled in per job."""

    name: str
    description: str
    kind: Kind
    style: Style
    seconds_per_step: float
    steps: tuple[int, ...]
    durations: Durations

    @property
    def version(self) -> str:
        return version_of(self.name)


MODELS: Mapping[str, CatalogueModel] = {
    model.name: model
    for model in (
        # SimpleTuner's Cog package trains inside predict(), so its jobs are predictions on Replicate.
        CatalogueModel(
            "simpletuner/advanced-trainer-h100",
            "SimpleTuner on one H100",
            Kind.PREDICTION,
            Style.SIMPLETUNER,
            1.05,
            (800, 1000, 1200, 1500),
            Durations(queue=70, load=150, preprocess=220, validate=40, checkpoint=14, finish=60),
        ),
        CatalogueModel(
            "simpletuner/advanced-trainer-l40s",
            "SimpleTuner on one L40S",
            Kind.PREDICTION,
            Style.SIMPLETUNER,
            2.2,
            (500, 600, 800),
            Durations(queue=50, load=190, preprocess=260, validate=65, checkpoint=18, finish=70),
        ),
        CatalogueModel(
            "simpletuner/advanced-trainer-h100-x2",
            "SimpleTuner on two H100",
            Kind.PREDICTION,
            Style.SIMPLETUNER,
            0.62,
            (1500, 2000, 2500),
            Durations(queue=110, load=180, preprocess=240, validate=30, checkpoint=16, finish=60),
        ),
        *(
            CatalogueModel(
                f"simpletuner/advanced-trainer-{gpu}-x{count}",
                f"SimpleTuner on {words} {gpu.upper()}",
                Kind.PREDICTION,
                Style.SIMPLETUNER,
                pace,
                (2000, 3000),
                Durations(queue=130, load=200, preprocess=240, validate=30, checkpoint=18, finish=60),
            )
            for gpu, count, words, pace in (
                ("h100", 4, "four", 0.34),
                ("h100", 8, "eight", 0.19),
                ("l40s", 2, "two", 1.2),
                ("l40s", 4, "four", 0.66),
                ("l40s", 8, "eight", 0.36),
            )
        ),
        CatalogueModel(
            "ostris/flux-dev-lora-trainer",
            "LoRA trainer for FLUX.1 [dev]",
            Kind.TRAINING,
            Style.FLUX_TRAINER,
            1.05,
            (1000, 1500, 2000),
            Durations(queue=60, load=110, preprocess=120, validate=45, checkpoint=10, finish=50),
        ),
        CatalogueModel(
            "replicate/fast-flux-trainer",
            "Quick LoRA trainer for FLUX.1 [dev]",
            Kind.TRAINING,
            Style.FLUX_TRAINER,
            0.72,
            (1000, 1600, 2200),
            Durations(queue=40, load=80, preprocess=90, validate=30, checkpoint=8, finish=40),
        ),
    )
}

USED_MODELS = tuple(
    MODELS[name]
    for name in (
        "simpletuner/advanced-trainer-h100",
        "simpletuner/advanced-trainer-l40s",
        "simpletuner/advanced-trainer-h100-x2",
        "ostris/flux-dev-lora-trainer",
        "replicate/fast-flux-trainer",
    )
)
"""What the account's own jobs are of; the others wait for somebody who asks for them."""


def model_for(name: str, kind: Kind) -> CatalogueModel:
    """The catalogue's entry, or a stand-in for a model that a caller brings along: a trainer or an image model."""
    if name in MODELS:
        return MODELS[name]
    if kind is Kind.TRAINING:
        lengths = Durations(queue=60, load=110, preprocess=120, validate=45, checkpoint=10, finish=50)
        return CatalogueModel(name, "A trainer", kind, Style.FLUX_TRAINER, 1.05, (1000,), lengths)
    lengths = Durations(queue=10, load=25, preprocess=0, validate=0, checkpoint=0, finish=5)
    return CatalogueModel(name, "An image model", kind, Style.IMAGE, 0.5, (28,), lengths)


def requested_steps(model: CatalogueModel, job_input: Mapping[str, Any]) -> int:
    """How many steps the input asks for, under any of the names that these trainers know."""
    for key in ("max_train_steps", "steps", "num_inference_steps"):
        value = job_input.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return model.steps[0]
