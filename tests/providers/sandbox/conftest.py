from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from providers.sandbox.plan import Durations, JobPlan, Kind
from tests.sandbox_server import RunningSandbox, running_sandbox

MakePlan = Callable[..., JobPlan]

CREATED_AT = 1_800_000_000.0
PLAN = JobPlan(
    id="0123456789abcdefghijklmnop",
    kind=Kind.TRAINING,
    model="ostris/flux-dev-lora-trainer",
    version="0" * 64,
    created_at=CREATED_AT,
    seed=7,
    durations=Durations(queue=10, load=20, preprocess=30, train=100, validate=10, checkpoint=5, finish=15),
    total_steps=100,
    validate_every=50,
    checkpoint_every=50,
)
"""Starts 10 s after its creation and works for 20 + 30 + 100 + 2 * (10 + 5) + 15 = 195 s."""


@pytest.fixture
def make_plan() -> MakePlan:
    def make(**changes: Any) -> JobPlan:
        return replace(PLAN, **changes)

    return make


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    """An empty account at natural speed."""
    with running_sandbox() as running:
        yield running
