"""Inventing jobs: the account's past, what is running when it is first looked at, and what comes later.

Everything is drawn from the sandbox's seed, so two sandboxes with the same seed and start tell the same story.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

from .catalogue import MODELS, USED_MODELS, CatalogueModel, model_for, requested_steps
from .plan import JobPlan, Kind, Outcome
from .trajectory import run_seconds

ACCOUNT = "studio-north"
ID_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"
DAY = 86400.0

SUBJECTS = (
    "ceramic-mugs", "linocut-birds", "alpine-huts", "biscuit-the-corgi", "art-deco-posters", "maya-portraits",
    "trail-runner-shoe", "watercolour-harbours", "retro-anime-city", "botanical-plates", "oak-chair", "felt-puppets",
    "neon-signs", "fjord-aerials", "patchwork-quilts", "vintage-cameras", "paper-dioramas", "brass-lamps",
)  # fmt: skip
TRIGGERS = ("TOK", "CRMUG", "LNCT", "ALPHUT", "BSCT", "DECOPO", "MAYAP", "TRLSHOE", "WHARB", "RTRCTY")
BASE_MODELS = (
    "black-forest-labs/FLUX.1-dev",
    "stabilityai/stable-diffusion-3.5-large",
    "stabilityai/stable-diffusion-xl-base-1.0",
    "Qwen/Qwen-Image",
    "Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
)

OUT_OF_MEMORY = (
    "CUDA out of memory. Tried to allocate 2.25 GiB. GPU 0 has a total capacity of 79.11 GiB of which 1.18 GiB is free."
)
FAILURES = (
    # The error, and how much of the run is over when it strikes.
    (OUT_OF_MEMORY, 0.31),
    ("File is not a zip file: the archive of training images could not be opened", 0.07),
    ("Loss became NaN at step 412; lower the learning rate or check the dataset", 0.55),
)


def new_id(rng: Random) -> str:
    return "".join(rng.choices(ID_LETTERS, k=26))


def invent(rng: Random, *, created_at: float, speed: float, model: CatalogueModel | None = None) -> JobPlan:
    """A believable job of this account that will succeed."""
    model = model or rng.choice(USED_MODELS)
    job = plan_for(model, rng, _input(rng, model), created_at=created_at, speed=speed)
    if model.kind is Kind.TRAINING:
        subject = str(job.input["input_images"]).rsplit("/", 1)[-1].removesuffix(".zip")
        job = replace(job, destination=f"{ACCOUNT}/{subject}-lora")
    return replace(job, source=rng.choice(("api", "api", "web")))


def plan_for(
    model: CatalogueModel, rng: Random, job_input: dict[str, Any], *, created_at: float, speed: float
) -> JobPlan:
    """A job of this model with this input; phases vary a little from one job to the next."""
    steps = requested_steps(model, job_input)
    pace = rng.uniform(0.9, 1.15)
    trains = model.kind is Kind.TRAINING or model.name in MODELS
    return JobPlan(
        id=new_id(rng),
        kind=model.kind,
        model=model.name,
        version=model.version,
        created_at=created_at,
        style=model.style,
        input=job_input,
        seed=rng.getrandbits(31),
        speed=speed,
        durations=replace(
            model.durations,
            queue=model.durations.queue * rng.uniform(0.5, 1.5),
            load=model.durations.load * pace,
            preprocess=model.durations.preprocess * pace,
            train=steps * model.seconds_per_step * pace,
        ),
        total_steps=steps,
        validate_every=max(steps // 5, 1) if trains else 0,
        checkpoint_every=max(steps // 2, 1) if trains else 0,
    )


def requested(
    model_name: str, kind: Kind, version: str, job_input: dict[str, Any], rng: Random, *, now: float, speed: float
) -> JobPlan:
    """The job that somebody has asked for through the API."""
    job = plan_for(replace(model_for(model_name, kind), kind=kind), rng, job_input, created_at=now, speed=speed)
    return replace(job, version=version)


def demo(rng: Random, *, now: float, speed: float) -> Iterator[JobPlan]:
    """About two dozen jobs of the last days, ended in every way, and six in different phases of their lives.

    The past is told at natural speed, so that its hours and costs look like those of real trainings.
    """
    ends = [
        Outcome.SUCCEEDED, Outcome.SUCCEEDED, Outcome.FAILED, Outcome.SUCCEEDED, None, Outcome.SUCCEEDED,
        Outcome.FAILED, Outcome.SUCCEEDED, Outcome.ABORTED, Outcome.SUCCEEDED, Outcome.SUCCEEDED, Outcome.FAILED,
        None, Outcome.SUCCEEDED, Outcome.SUCCEEDED, Outcome.CANCELED_BY_DEADLINE, Outcome.SUCCEEDED, Outcome.SUCCEEDED,
    ]  # fmt: skip
    age = 900.0
    for outcome in ends:
        job = invent(rng, created_at=0.0, speed=1.0)
        lifetime = job.durations.queue + run_seconds(job)
        yield _ended(rng, replace(job, created_at=now - age - lifetime), outcome)
        age += rng.uniform(0.03, 0.5) * DAY
    for progress in (0.93, 0.72, 0.5, 0.28, 0.1, 0.0):
        job = invent(rng, created_at=now, speed=speed)
        elapsed = (job.durations.queue + run_seconds(job) * progress) if progress else job.durations.queue * 0.3
        yield replace(job, created_at=now - elapsed / speed)


def finished_and_active(rng: Random, *, count: int, now: float, speed: float) -> Iterator[JobPlan]:
    """So many ended jobs, one every five minutes back from now, and five that are at work."""
    for index in range(count):
        job = invent(rng, created_at=now - 7200.0 - index * 300.0, speed=60.0)
        yield _ended(rng, job, rng.choice((Outcome.SUCCEEDED, Outcome.SUCCEEDED, Outcome.FAILED, None)))
    for index in range(5):
        job = invent(rng, created_at=now, speed=speed)
        yield replace(job, created_at=now - (job.durations.queue + run_seconds(job) * index / 5) / speed)


def newcomer(rng: Random, *, created_at: float, speed: float) -> JobPlan:
    """A job that appears while the sandbox is running; one in seven will fail."""
    job = invent(rng, created_at=created_at, speed=speed)
    if rng.random() < 0.15:
        error, share = rng.choice(FAILURES)
        return replace(job, outcome=Outcome.FAILED, error=error, stop_fraction=share)
    return job


def _ended(rng: Random, job: JobPlan, outcome: Outcome | None) -> JobPlan:
    """The job with this end; None stands for a user who cancelled it."""
    if outcome is None:
        worked = run_seconds(job) * rng.uniform(0.2, 0.8)
        return replace(job, cancelled_at=job.created_at + (job.durations.queue + worked) / job.speed)
    if outcome is Outcome.FAILED:
        error, share = rng.choice(FAILURES)
        return replace(job, outcome=outcome, error=error, stop_fraction=share)
    return replace(job, outcome=outcome)


def _input(rng: Random, model: CatalogueModel) -> dict[str, Any]:
    subject = rng.choice(SUBJECTS)
    archive = f"https://replicate.delivery/pbxt/{new_id(rng)}/{subject}.zip"
    steps = rng.choice(model.steps)
    if model.kind is Kind.TRAINING:
        return {
            "input_images": archive,
            "trigger_word": rng.choice(TRIGGERS),
            "steps": steps,
            "lora_rank": rng.choice((16, 32)),
            "learning_rate": 0.0004,
        }
    return {
        "images": archive,
        "config_name": f"{subject}-v{rng.randint(1, 4)}",
        "model_name": rng.choice(BASE_MODELS),
        "max_train_steps": steps,
        "learning_rate": rng.choice((0.0001, 0.00005)),
    }
