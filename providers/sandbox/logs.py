"""Pure: the log text of a job after some time of work. It only ever grows, and the same job prints the same log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from random import Random

from . import log_flux, log_image, log_simpletuner
from .pacing import Event
from .plan import JobPlan, Outcome, Style
from .trajectory import run_seconds

STYLES: Mapping[Style, Callable[[JobPlan, Random, Callable[[float], float]], Iterator[Event]]] = {
    Style.SIMPLETUNER: log_simpletuner.events,
    Style.FLUX_TRAINER: log_flux.events,
    Style.IMAGE: log_image.events,
}


def log_text(plan: JobPlan, worked: float) -> str:
    """Everything printed in the first `worked` simulated seconds.

    Bars and rates speak of simulated time, dated lines of real time, like the job's own timestamps.
    """
    if plan.logs_override is not None:
        return plan.logs_override if worked > 0 else ""
    starts_at = plan.created_at + plan.durations.queue / plan.speed
    has_failed = plan.outcome is Outcome.FAILED and worked >= run_seconds(plan)
    printed = []
    for at, text in STYLES[plan.style](plan, Random(plan.seed), lambda at: starts_at + at / plan.speed):
        if at > worked:
            break
        printed.append(text)
    if has_failed:
        printed.append(_traceback(plan))
    return "".join(printed)


def _traceback(plan: JobPlan) -> str:
    error = plan.error or "RuntimeError: the training process ended unexpectedly"
    return (
        "\nTraceback (most recent call last):\n"
        '  File "/src/train.py", line 412, in train\n'
        "    job.run()\n"
        '  File "/src/trainer/loop.py", line 1187, in run\n'
        "    loss = self.optimise(batch)\n"
        f"{error}\n"
    )
