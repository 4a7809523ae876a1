"""What a training job is doing, read from its log: log text -> Progress (SPEC A1). Pure."""

from dataclasses import dataclass

from jobs.training_log.lines import banners_above, newest_lines
from jobs.training_log.reader import LogReader
from jobs.training_log.stages import TRAINING, Stage

LAST_LOG_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Progress:
    """What the card of a running job shows (SPEC A1). None is unknown.

    `progress` is per cent of the whole job, 0 to 100. `step` and `epoch` are as printed: some trainers count from zero,
    some print fractions of an epoch. `eta_seconds` is the trainer's own estimate for the whole job.
    """

    stage: Stage | None = None
    progress: float | None = None
    last_log: str | None = None
    step: int | None = None
    total_steps: int | None = None
    epoch: float | None = None
    total_epochs: int | None = None
    loss: float | None = None
    eta_seconds: int | None = None


def parse_log(text: str) -> Progress:
    """Read the end of a job's log. Never raises, and takes about the same time for a log of any length."""
    lines = newest_lines(text)
    if not lines:
        return Progress()
    reader = LogReader()
    for line in (*banners_above(text, lines), *lines):
        reader.read(line)
    position = reader.position
    steps, share = position.steps, position.share()
    return Progress(
        stage=reader.stage,
        progress=None if share is None else round(100 * share, 2),
        last_log=lines[-1].strip()[:LAST_LOG_CHARACTERS].rstrip(),
        step=None if steps is None else int(steps.done),
        total_steps=position.total_steps if steps is None or steps.total is None else int(steps.total),
        epoch=position.newest_epoch,
        total_epochs=position.total_epochs,
        loss=reader.loss,
        # An estimate printed before a validation or a save no longer holds.
        eta_seconds=reader.eta_seconds if reader.stage == TRAINING else None,
    )
