"""What one line of a log says of a training's course. Pure; the line comes in lower case."""

import re
from dataclasses import dataclass
from functools import lru_cache

from jobs.training_log.bars import Bar, bars_and_texts
from jobs.training_log.counters import Counters, read_counters
from jobs.training_log.numbers import decimal

_NUMBER = r"[-+]?\d{1,18}(?:\.\d{0,24})?(?:e[-+]?\d{1,4})?"
LR = re.compile(
    r"(?<![a-z])(?:lr|learning[ _]rate)(?:[ /_](?:unet|transformer|model|main|abs))?"
    rf"[\"']?\s?[:=|]\s?(?P<value>{_NUMBER})"
)
_NUMBER_OF_RATE = r"(?<![\d.])(?P<value>\d{1,9}(?:\.\d{1,9})?)"
RATE = re.compile(
    rf"{_NUMBER_OF_RATE} ?(?:(?P<slow>s(?:ec)?/(?:it|step|iter|batch))|(?P<fast>(?:it|steps?|iters?|batch(?:es)?)/s))\b"
    r"|per iteration \(ms\): (?P<milliseconds>\d{1,9}(?:\.\d{1,9})?)"
)
_SUB_TASK = re.compile(r"\b(?:valid|val\b|eval|test|sampl|infer|denois|load|download|cach|preproc|encod|fetch|map\b)")
_EPOCHS_BAR = re.compile(r"(?:^|\W)epochs?\W*$")
_STEPS_BAR = re.compile(r"\bsteps\W*$")
_TORCHTUNE_BAR = re.compile(r"(?:^|\s)(?P<epoch>\d{1,9})\|\d{1,12}\|loss: \S{1,24}$")


@dataclass(frozen=True, slots=True)
class LineFacts:
    """``total``: of the steps that ``step`` is one of; ``is_within_epoch``: they are counted anew with each epoch."""

    step: int | None = None
    total: int | None = None
    epoch: float | None = None
    is_within_epoch: bool = False
    loss: float | None = None
    learning_rate: float | None = None
    seconds_per_step: float | None = None


def line_facts(line: str, own_total: int | None) -> LineFacts | None:
    """What a line says; ``None`` if it speaks of something else. ``own_total``: of the trainer's nameless bar."""
    found = LineFacts()
    for part in bars_and_texts(line):
        said = _bar_facts(part, own_total) if isinstance(part, Bar) else _text_facts(part)
        if said is not None:
            found = _joined(found, said)
    says_something = (found.loss, found.learning_rate, found.seconds_per_step) != (None, None, None)
    return found if says_something else None


@lru_cache(maxsize=256)
def _name_counters(name: str) -> Counters:
    """A bar keeps its name for thousands of drawings."""
    return read_counters(name)


def _text_facts(text: str) -> LineFacts | None:
    counters = read_counters(text)
    is_about_training = counters.has_position or counters.has_loss or counters.within_epoch is not None
    learning_rate = _learning_rate(text)
    if not is_about_training and learning_rate is None:
        return None
    step, total, is_within_epoch = _step(counters)
    return LineFacts(
        step=step,
        total=total,
        epoch=counters.epoch.done if counters.epoch else None,
        is_within_epoch=is_within_epoch,
        loss=counters.loss,
        learning_rate=learning_rate,
        seconds_per_step=_seconds_per_step(text) if is_about_training else None,
    )


def _bar_facts(bar: Bar, own_total: int | None) -> LineFacts | None:
    """What the trainer's own bar says; nothing for one of a validation, a download or whatever else goes on."""
    if _SUB_TASK.search(bar.name) or bar.counts_data:
        return None
    name, postfix = _name_counters(bar.name), read_counters(bar.postfix)
    loss = postfix.loss if postfix.has_loss else name.loss
    learning_rate = _learning_rate(bar.postfix)
    has_own_name = name.has_position or bool(_STEPS_BAR.search(bar.name) or _EPOCHS_BAR.search(bar.name))
    is_own = has_own_name or loss is not None or learning_rate is not None or bar.total == own_total
    if not is_own:
        return None
    torchtune = _TORCHTUNE_BAR.search(bar.name)
    epoch = float(torchtune["epoch"]) if torchtune else name.epoch.done if name.epoch else None
    if _EPOCHS_BAR.search(bar.name):
        return LineFacts(epoch=float(bar.done or 0), loss=loss, learning_rate=learning_rate)
    return LineFacts(
        step=bar.done,
        total=bar.total,
        epoch=epoch,
        is_within_epoch=epoch is not None and not torchtune and not _STEPS_BAR.search(bar.name),
        loss=loss,
        learning_rate=learning_rate,
        seconds_per_step=_seconds_per_step(bar.postfix),
    )


def _step(counters: Counters) -> tuple[int | None, int | None, bool]:
    if counters.step is not None:
        total = counters.step.total
        return int(counters.step.done), int(total) if total else None, False
    if counters.within_epoch is not None and counters.within_epoch.total:
        return int(counters.within_epoch.done), int(counters.within_epoch.total), True
    return None, None, False


def _learning_rate(text: str) -> float | None:
    match = LR.search(text)
    return decimal(match["value"]) if match else None


def _seconds_per_step(text: str) -> float | None:
    match = RATE.search(text)
    if match is None:
        return None
    if match["milliseconds"]:
        return (decimal(match["milliseconds"]) or 0.0) / 1000
    rate = decimal(match["value"])
    if not rate:
        return None
    return rate if match["slow"] else 1 / rate


def _joined(one: LineFacts, other: LineFacts) -> LineFacts:
    """What both say; the later counts."""
    values = {
        name: value if (value := getattr(other, name)) is not None else getattr(one, name)
        for name in ("epoch", "loss", "learning_rate", "seconds_per_step")
    }
    counted = other if other.step is not None else one
    return LineFacts(step=counted.step, total=counted.total, is_within_epoch=counted.is_within_epoch, **values)
