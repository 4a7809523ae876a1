"""Steps, epochs, totals and losses in one line of a training log. Pure.

Numbers count only beside a word that says what they count: dates, memory figures, versions and ranks look like
fractions too.
"""

import re
from dataclasses import dataclass

from jobs.training_log.numbers import decimal, seconds, whole

_INTEGER = r"(?:\d{1,3}(?:,\d{3}){1,5}|\d{1,18})(?!\d)"
_DECIMAL = r"\d{1,9}(?:\.\d{1,9})?(?!\d)"
_NUMBER = r"[-+]?\d{1,18}(?:\.\d{0,24})?(?:e[-+]?\d{1,4})?"
# Not the end of another word or key: `timestep`, `micro_step`, `eval_steps`, `warmup-step`.
_WORD_START = r"(?<![a-z0-9_-])"
_STEP = rf"{_WORD_START}(?:global[ _])?(?:step|iteration|iter)"
_EPOCH = rf"{_WORD_START}epoch"
# `step 5`, `Step: 5`, `"step":5`, `step=5`, `Step [5`, `Iter(train) [5`, `step #5`.
_BEFORE_NUMBER = r"(?:\(train\))?[\"']? ?[:=#]? ?[\[(]? ?"
_OF = r" ?(?:/|(?:out )?of) ?"

_STEP_PAIR = re.compile(rf"{_STEP}s?{_BEFORE_NUMBER}(?P<done>{_INTEGER}){_OF}(?P<total>{_INTEGER})")
_PAIR_STEPS = re.compile(rf"(?<![\d./])(?P<done>{_INTEGER}) ?/ ?(?P<total>{_INTEGER}) (?:steps|iterations|iters)\b")
_STEP_ALONE = re.compile(rf"{_STEP}{_BEFORE_NUMBER}(?P<done>{_INTEGER})(?! ?/ ?\d|\.\d| (?:out )?of \d)")
# A notebook's table of the transformers Trainer: `[ 500/1500 08:40 < 17:20, 0.96 it/s, Epoch 1.00/3]`.
_NOTEBOOK = re.compile(
    rf"\[ ?(?P<done>{_INTEGER})/(?P<total>{_INTEGER}) [\d:]{{1,12}}(?: < (?P<eta>[\d:?]{{1,12}}))?,[^\[\]]*epoch [\d.]"
)
_EPOCH_PAIR = re.compile(rf"{_EPOCH}s?{_BEFORE_NUMBER}(?P<done>{_DECIMAL}){_OF}(?P<total>{_DECIMAL})(?!/)")
_EPOCH_ALONE = re.compile(rf"{_EPOCH}{_BEFORE_NUMBER}(?P<done>{_DECIMAL})(?! ?/| (?:out )?of \d|\.\d)")
# YOLO's row: `3/100  4.7G  0.04 ...`; timm's: `Train: 12 [ 500/1251 ( 40%)]` or `Train: 12/300 [ 500/1251 ...`.
_EPOCH_ROW = re.compile(r"^(?P<done>\d{1,6})/(?P<total>\d{1,6}) \d[\d.]{0,8}[gmk]b?\b")
_TRAIN_ROW = re.compile(r"\btrain: (?P<done>\d{1,6})(?:/(?P<total>\d{1,6}))? \[ ?\d{1,12}/\d")
# How far the epoch itself is: keras's two bars, rich's bar, fastprogress, and batches in words.
_WITHIN_EPOCH = re.compile(
    r"(?<!\d)(?P<done>\d{1,12})/(?P<total>\d{1,12}) (?:\[[=>.]{4}|[━╸╺]{4})"
    r"|━ ?(?P<rich_done>\d{1,12})/(?P<rich_total>\d{1,12}) "
    r"|\[(?P<fast_done>\d{1,12})/(?P<fast_total>\d{1,12}) [\d:]{1,12}<[\d:]{1,12}"
    r"(?: (?P<fast_loss>\d{1,9}\.\d{1,9}))?\]"
    r"|\bbatch(?:es)?\W{1,3}(?P<batch_done>\d{1,12}) ?/ ?(?P<batch_total>\d{1,12})"
)

# A sub-task's own steps and mere settings: `validation step 3 of 7`, `Warmup step 20/100`, `batches each epoch = 5`.
_SUB_TASK_BEFORE = re.compile(
    r"\b(?:validat\w*|eval\w*|test\w*|sampl\w*|inference|denois\w*|generat\w*|warm-?up|cach\w*|preprocess\w*"
    r"|encod\w*|load\w*|ppo|micro|optimizer|accumulation|current|each|per|every)[ :(\[-]{1,3}$"
)
_SUB_TASK_REACH = 24

# The tutorials' `Epoch [3/10], Step [100/600]` counts the steps of each epoch anew.
_STEPS_OF_THE_EPOCH = re.compile(r"\bepoch \[\d{1,9}/\d{1,9}\].{0,4}\b(?:step|iter|iteration|batch) \[")

_TOTAL_STEPS = re.compile(
    r"\btotal (?:optimi[sz]ation |train(?:ing)? )?steps ?(?:/ ?[^\s:=]{1,30} ?)?[=:] ?"
    rf"(?P<english>{_INTEGER})"
    rf"|\btotal_num_steps\W{{1,3}}(?P<axolotl>{_INTEGER})"
    rf"|\bnumber of steps set at (?P<set>{_INTEGER})"
    rf"|`max_steps=(?P<reached>{_INTEGER})` reached"
)
# A total under its own key says something only beside its counter: in a dump of settings it is one of many.
_KEYED_TOTAL = r"\b(?:total|max|num)_(?:train_|training_)?(?:{unit})[\"']? ?[:=] ?(?P<total>{integer})"
_KEYED_TOTAL_STEPS = re.compile(_KEYED_TOTAL.format(unit="steps|iters|iterations", integer=_INTEGER))
_KEYED_TOTAL_EPOCHS = re.compile(_KEYED_TOTAL.format(unit="epochs", integer=_INTEGER))
_TOTAL_EPOCHS = re.compile(
    rf"\bnum epochs ?(?:/ ?[^\s:=]{{1,30}} ?)?[=:] ?(?P<english>{_INTEGER})"
    rf"|\bscheduled epochs: ?(?P<timm>{_INTEGER})"
    rf"|\bstarting\b.{{0,60}}\btraining\b.{{0,60}}\bfor (?P<yolo>{_INTEGER}) epochs"
    rf"|`max_epochs=(?P<reached>{_INTEGER})` reached"
)

# The training loss under its many names; a validation's, a component's or a smoothed loss is not it.
_LOSS = re.compile(
    r"(?<![\w/-])(?<!val )(?<!valid )(?<!validation )(?<!eval )(?<!test )(?<!smooth )"
    r"(?:(?:train|training|step|avr|avg|total|lm|reduced_train)[ _/]){0,2}loss(?: value)?[\"']?"
    rf" ?[:=]? ?(?P<loss>{_NUMBER}|[-+]?(?:nan|inf)\b)"
)
_ETA = re.compile(r"\beta[:= ]{1,3}(?P<clock>\d{1,6}(?::\d{1,2}){1,3})")


@dataclass(frozen=True, slots=True)
class Fraction:
    """`done` of `total`; the total may be missing, or zero, or cut short when the line ends with it."""

    done: float
    total: float | None = None
    total_ends_line: bool = False

    def completed_by(self, known_total: int | None) -> "Fraction":
        """`150/50` at the end of a log whose total was 5000 is the beginning of `150/5000`."""
        if self.total is None or not self.total_ends_line or not str(known_total).startswith(str(self.total)):
            return self
        return Fraction(self.done, known_total)

    @property
    def share(self) -> float | None:
        """From 0 to 1, or None when the total says nothing."""
        if not self.total:
            return None
        return min(1.0, self.done / self.total)


@dataclass(frozen=True, slots=True)
class Counters:
    """What one line says in numbers. Epochs and steps are the job's; `within_epoch` is not."""

    step: Fraction | None = None
    epoch: Fraction | None = None
    within_epoch: Fraction | None = None
    total_steps: int | None = None
    total_epochs: int | None = None
    loss: float | None = None
    has_loss: bool = False
    eta_seconds: int | None = None
    steps_may_be_of_the_epoch: bool = False

    @property
    def has_position(self) -> bool:
        return self.step is not None or self.epoch is not None

    @property
    def has_share(self) -> bool:
        """A position together with its total: `step 5/10`, not `step 5`."""
        return any(position and position.total is not None for position in (self.step, self.epoch))

    @property
    def is_at_zero(self) -> bool:
        """A lone step 0: something counts, but nothing has been done."""
        return not self.has_share and self.step is not None and not self.step.done


def read_counters(line: str) -> Counters:
    """Every counter that the line names, each from the first pattern that knows it."""
    step, step_at, eta_seconds = _step(line)
    epoch, epoch_at = _epoch(line)
    within = _WITHIN_EPOCH.search(line)
    within_epoch = _within_epoch(within)
    if _STEPS_OF_THE_EPOCH.search(line):
        step, within_epoch = None, step
    loss = _loss(line, within)
    return Counters(
        step=step,
        epoch=epoch,
        within_epoch=within_epoch,
        total_steps=_whole_group(_TOTAL_STEPS.search(line)),
        total_epochs=_whole_group(_TOTAL_EPOCHS.search(line)),
        loss=decimal(loss) if loss else None,
        has_loss=loss is not None,
        eta_seconds=eta_seconds,
        # `Step 1800 of 6000: ..., epoch 2/5` counts the job's steps; after an epoch, or alone, they may be the epoch's.
        steps_may_be_of_the_epoch=step is not None and (epoch is None or epoch_at < step_at),
    )


def names_training_metric(text: str) -> bool:
    """Whether a bar's postfix speaks of a training loss or learning rate: then the bar is the trainer's own."""
    return bool(_LOSS.search(text) or re.search(r"\blr\b", text))


def _step(line: str) -> tuple[Fraction | None, int, int | None]:
    """The step, where it stands, and the seconds that remain if they are printed beside it."""
    if notebook := _NOTEBOOK.search(line):
        return _fraction(notebook, notebook), -1, seconds(notebook["eta"] or "")
    for pattern in (_STEP_PAIR, _PAIR_STEPS):
        if match := _first_of_the_job(pattern, line):
            eta = _ETA.search(line)
            return _fraction(match, match), match.start(), seconds(eta["clock"]) if eta else None
    if match := _first_of_the_job(_STEP_ALONE, line):
        return _fraction(match, _KEYED_TOTAL_STEPS.search(line)), match.start(), None
    return None, 0, None


def _epoch(line: str) -> tuple[Fraction | None, int]:
    """The epoch and where it stands."""
    for pattern in (_EPOCH_PAIR, _EPOCH_ROW, _TRAIN_ROW):
        if match := _first_of_the_job(pattern, line):
            return _fraction(match, match), match.start()
    if match := _first_of_the_job(_EPOCH_ALONE, line):
        return _fraction(match, _KEYED_TOTAL_EPOCHS.search(line)), match.start()
    return None, 0


def _first_of_the_job(pattern: re.Pattern[str], line: str) -> re.Match[str] | None:
    """The first match that does not count a sub-task."""
    for match in pattern.finditer(line):
        before = line[max(0, match.start() - _SUB_TASK_REACH) : match.start()]
        if not _SUB_TASK_BEFORE.search(before):
            return match
    return None


def _fraction(done: re.Match[str], of: re.Match[str] | None = None) -> Fraction:
    """What one match counts of the total that the same or another match names."""
    total = of["total"] if of else None
    if of is None or total is None:
        return Fraction(_amount(done["done"]))
    return Fraction(_amount(done["done"]), _amount(total), total_ends_line=of.end() == len(of.string))


def _amount(digits: str) -> float:
    """As printed: an epoch `0.59` stays a float, a step stays an int."""
    number = decimal(digits) if "." in digits else whole(digits)
    return 0 if number is None else number


def _within_epoch(match: re.Match[str] | None) -> Fraction | None:
    if match is None:
        return None
    done, total = (group for name, group in match.groupdict().items() if group and name != "fast_loss")
    return Fraction(_amount(done), _amount(total))


def _whole_group(match: re.Match[str] | None) -> int | None:
    """The one alternative of a pattern that matched."""
    return whole(match[match.lastgroup]) if match and match.lastgroup else None


def _loss(line: str, within: re.Match[str] | None) -> str | None:
    """The loss as printed, which may be nan."""
    if match := _LOSS.search(line):
        return match["loss"]
    return within["fast_loss"] if within else None
