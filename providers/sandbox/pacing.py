"""Placing texts on a job's timeline: what a phase prints, and when."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from random import Random

from .bars import bar
from .plan import JobPlan
from .trajectory import Phase, Segment

Event = tuple[float, str]
"""Simulated seconds since the start, and the text that the log grows by at that moment."""

REDRAWS_OF_A_TRAINING = 400
"""Bounds a log to well under 200 KB however many steps a job has."""


def spread(segment: Segment, texts: Sequence[str], *, share: tuple[float, float] = (0.0, 1.0)) -> Iterator[Event]:
    """The texts at equal distances within a part of the segment, none of them at its very edges."""
    for index, text in enumerate(texts):
        yield segment.at(share[0] + (share[1] - share[0]) * (index + 0.5) / len(texts)), text


def subtask(
    segment: Segment, label: str, total: int, *, redraws: int = 12, share: tuple[float, float] = (0.0, 1.0)
) -> Iterator[Event]:
    """A bar that fills over a part of the segment and leaves the cursor on a new line."""
    length = segment.length * (share[1] - share[0])
    counts = sorted({total * index // redraws for index in range(redraws + 1)})
    redrawn = ["\r" + bar(label, done, total, length * done / total, length / total) for done in counts]
    redrawn[-1] += "\n"
    return spread(segment, redrawn, share=share)


def training_steps(plan: JobPlan, segment: Segment) -> Iterator[tuple[float, int]]:
    """When the training bar is redrawn within a segment, and at which step: at most 400 redraws in a whole training."""
    stride = max(1, math.ceil(plan.total_steps / REDRAWS_OF_A_TRAINING))
    first = (segment.first_step // stride + 1) * stride
    steps = [*range(first, segment.last_step, stride), segment.last_step]
    for step in steps:
        share = (step - segment.first_step) / max(segment.last_step - segment.first_step, 1)
        # A hair before the end, so that the last redraw precedes what the next phase prints.
        yield segment.at(min(share, 0.999)), step


def training_begins(timeline: Sequence[Segment]) -> float:
    return next(segment.begins for segment in timeline if segment.phase is Phase.TRAIN)


def noisy_loss(rng: Random, step: int, total: int, *, first: float, last: float) -> float:
    """A loss on its way from `first` to `last`, falling fast at the beginning and jittering all along."""
    expected = last + (first - last) * math.exp(-4.0 * step / max(total, 1))
    return max(expected * (1.0 + rng.gauss(0.0, 0.06)), last * 0.5)
