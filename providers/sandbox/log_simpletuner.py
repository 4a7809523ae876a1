"""What SimpleTuner prints on Replicate: stage lines of its Cog runner, its own log lines, and tqdm bars."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from random import Random

from .bars import bar
from .pacing import Event, noisy_loss, spread, subtask, training_begins, training_steps
from .plan import JobPlan
from .trajectory import Phase, Segment, segments

STEP_LINE_EVERY = 20
"""Redraws of the bar between two `[TRAINING] Step` lines."""


def events(plan: JobPlan, rng: Random, real_time: Callable[[float], float]) -> Iterator[Event]:
    def line(at: float, text: str) -> str:
        stamp = datetime.fromtimestamp(real_time(at), UTC).strftime("%Y-%m-%d %H:%M:%S,%f")[:-3]
        return f"[RANK 0] \x1b[32m{stamp} [INFO] {text}\x1b[0m\n"

    timeline = segments(plan)
    begun = training_begins(timeline)
    for segment in timeline:
        match segment.phase:
            case Phase.LOAD:
                yield from _load(plan, segment, rng, line)
            case Phase.PREPROCESS:
                yield from _preprocess(plan, segment, rng, line)
            case Phase.TRAIN:
                yield from _train(plan, segment, rng, begun)
            case Phase.VALIDATE:
                yield segment.begins, "\n"
                yield from subtask(segment, "Processing validation prompts", 4, redraws=4)
            case Phase.CHECKPOINT:
                path = f"output/models/checkpoint-{segment.last_step}"
                yield segment.begins, "\n" + line(segment.begins, f"Saving checkpoint to {path}")
                yield segment.at(0.99), line(segment.ends, f"Saved checkpoint to {path}")
            case Phase.FINISH:
                yield from _finish(plan, segment, line)


def _load(plan: JobPlan, segment: Segment, rng: Random, line: Callable[[float, str], str]) -> Iterator[Event]:
    images = rng.randint(12, 180)
    base_model = plan.input.get("model_name", "black-forest-labs/FLUX.1-dev")
    yield from spread(
        segment,
        [
            f"[COG] Webhook receiver started on http://127.0.0.1:{rng.randint(30000, 60000)}/webhook\n",
            f"Extracted {images} files from zip to datasets/images\n",
            "[STAGE] ⏳ Loading base model: Loading base model\n",
            line(segment.begins, f"Load VAE: {base_model}"),
            line(segment.begins, "Loading text encoders.."),
        ],
        share=(0.0, 0.4),
    )
    yield from subtask(segment, "Loading checkpoint shards", 3, redraws=3, share=(0.4, 0.95))
    yield from spread(segment, ["[STAGE] ✓ Loading base model: Base model has loaded.\n"], share=(0.95, 1.0))


def _preprocess(plan: JobPlan, segment: Segment, rng: Random, line: Callable[[float, str], str]) -> Iterator[Event]:
    images = rng.randint(24, 240)
    yield from spread(
        segment,
        [
            "[STAGE] ⏳ Configuring data backends: Configuring data backends... (this may take a while!)\n",
            line(segment.begins, "(id=images) Loading local dataset."),
        ],
        share=(0.0, 0.05),
    )
    yield from subtask(segment, "Scanning image metadata", images, redraws=4, share=(0.05, 0.15))
    yield from subtask(segment, "Processing prompts", images, redraws=8, share=(0.15, 0.35))
    yield from subtask(segment, "Processing bucket 1.0", images, redraws=20, share=(0.35, 0.95))
    yield from spread(
        segment,
        [
            "[STAGE] ✓ Preparing model components: Completed preparing model components\n",
            line(segment.ends, f"***** Running training *****\n-  Total optimization steps = {plan.total_steps}"),
            "[TRAINING] Status: running\n",
        ],
        share=(0.95, 1.0),
    )


def _train(plan: JobPlan, segment: Segment, rng: Random, begun: float) -> Iterator[Event]:
    total, epochs = plan.total_steps, 2 + plan.seed % 8
    seconds_per_step = plan.durations.train / max(total, 1)
    learning_rate = plan.input.get("learning_rate", 0.0001)
    for count, (at, step) in enumerate(training_steps(plan, segment), 1):
        loss = noisy_loss(rng, step, total, first=0.31, last=0.042)
        epoch = min(step * epochs // max(total, 1) + 1, epochs)
        postfix = f"step_loss={loss:.3g}, lr={learning_rate}"
        text = "\r" + bar(f"Epoch {epoch}/{epochs}, Steps", step, total, at - begun, seconds_per_step, postfix)
        if count % STEP_LINE_EVERY == 0:
            text += f"\n[TRAINING] Step {step}/{total} ({100 * step / total:.1f}%) Status: running\n"
        yield at, text


def _finish(plan: JobPlan, segment: Segment, line: Callable[[float, str], str]) -> Iterator[Event]:
    yield segment.begins, "\n"
    yield from spread(
        segment,
        [
            line(segment.begins, f"Exiting training loop. Beginning model unwind at step {plan.total_steps}"),
            "[STAGE] ✓ Saving Final Model: Model saved to output/models\n",
            "[STAGE] ✓ Training Complete: Training run complete.\n",
            "[COG] Webhook receiver stopped\n",
        ],
    )
