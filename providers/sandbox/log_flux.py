"""What the Flux LoRA trainers on Replicate print: downloads, model loading, and one bar named after the job."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from random import Random

from .bars import bar
from .pacing import Event, noisy_loss, spread, subtask, training_begins, training_steps
from .plan import JobPlan
from .trajectory import Phase, Segment, segments

BASE_WEIGHTS_URL = "https://weights.replicate.delivery/default/black-forest-labs/FLUX.1-dev/files.tar"


def events(plan: JobPlan, rng: Random, real_time: Callable[[float], float]) -> Iterator[Event]:
    images = rng.randint(8, 60)
    timeline = segments(plan)
    begun = training_begins(timeline)
    for segment in timeline:
        match segment.phase:
            case Phase.LOAD:
                yield from _load(plan, segment, rng, images, real_time)
            case Phase.PREPROCESS:
                yield from subtask(segment, "Caching latents to disk", images, redraws=20, share=(0.0, 0.7))
                yield from subtask(segment, "Caching text embeddings to disk", images, redraws=10, share=(0.7, 1.0))
            case Phase.TRAIN:
                yield from _train(plan, segment, rng, begun)
            case Phase.VALIDATE:
                yield segment.begins, "\n"
                yield from subtask(segment, "Generating Samples", 4, redraws=4)
            case Phase.CHECKPOINT:
                yield segment.begins, f"\n\nSaving at step {segment.last_step}\n"
                yield segment.at(0.99), "Saved checkpoint to output/flux_train_replicate/lora.safetensors\n"
            case Phase.FINISH:
                yield segment.begins, "\n"
                yield from spread(
                    segment,
                    [
                        "Saved checkpoint to output/flux_train_replicate/lora.safetensors\n",
                        "Packing output/flux_train_replicate into trained_model.tar\n",
                        f"Training of {plan.destination or plan.model} is done\n",
                    ],
                )


def _load(
    plan: JobPlan, segment: Segment, rng: Random, images: int, real_time: Callable[[float], float]
) -> Iterator[Event]:
    def stamp(share: float) -> str:
        return datetime.fromtimestamp(real_time(segment.at(share)), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    source = f"url={BASE_WEIGHTS_URL}"
    fetched = segment.length * 0.4
    yield from spread(
        segment,
        [
            f"{stamp(0.0)} | INFO  | [ Initiating ] chunk_size=150M dest=. {source}\n",
            f'{stamp(0.4)} | INFO  | [ Complete ] dest=. size="34 GB" total_elapsed={fetched:.3f}s {source}\n',
            f"Downloaded base weights in {fetched + rng.random():.2f} seconds\n",
            f"Extracted {images} files from zip to input_images\n",
            "Starting train job\n",
            f"Trigger word: {plan.input.get('trigger_word', 'TOK')}, steps: {plan.total_steps}\n",
            "Running job: flux_train_replicate\n",
            "Loading Flux model\n",
            "Loading transformer\n",
            "Quantizing transformer\n",
            "Loading vae\n",
            "Loading t5\n",
        ],
        share=(0.0, 0.8),
    )
    yield from subtask(segment, "Loading checkpoint shards", 2, redraws=2, share=(0.8, 1.0))


def _train(plan: JobPlan, segment: Segment, rng: Random, begun: float) -> Iterator[Event]:
    total = plan.total_steps
    seconds_per_step = plan.durations.train / max(total, 1)
    learning_rate = float(plan.input.get("learning_rate", 0.0004))
    for at, step in training_steps(plan, segment):
        loss = noisy_loss(rng, step, total, first=0.48, last=0.24)
        postfix = f"lr: {learning_rate:.1e} loss: {loss:.3e}"
        yield at, "\r" + bar("flux_train_replicate", step, total, at - begun, seconds_per_step, postfix)
