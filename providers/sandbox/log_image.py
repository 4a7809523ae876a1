"""What an image model prints: the seed, the prompt and the sampler's bar, one redraw a line as recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from .bars import bar
from .pacing import Event, spread, training_begins, training_steps
from .plan import JobPlan
from .trajectory import Phase, segments


def events(plan: JobPlan, rng: Random, real_time: Callable[[float], float]) -> Iterator[Event]:  # noqa: ARG001
    timeline = segments(plan)
    begun = training_begins(timeline)
    seconds_per_step = plan.durations.train / max(plan.total_steps, 1)
    for segment in timeline:
        if segment.phase is Phase.LOAD:
            seed = plan.input.get("seed", rng.randint(1, 2**31))
            prompt = plan.input.get("prompt", "")
            yield from spread(segment, [f"Using seed: {seed}\n", f"Prompt: {prompt}\n"])
        elif segment.phase is Phase.TRAIN:
            for at, step in training_steps(plan, segment):
                yield at, bar("", step, plan.total_steps, at - begun, seconds_per_step) + "\n"
