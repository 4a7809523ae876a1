"""The job's state, carried from line to line of its log. Pure.

The newest telling line decides (SPEC A1.4), but what a line tells depends on those before it: after
`Running validation` a bar without a name is the validation's, not the job's.
"""

import re

from jobs.training_log import stages
from jobs.training_log.bars import Bar, bars_and_texts
from jobs.training_log.counters import Counters, Fraction, names_training_metric, read_counters
from jobs.training_log.position import Position
from jobs.training_log.stages import PREPROCESSING, SAVING, TRAINING, VALIDATION, Rule, Stage

# A bar of epochs (`epoch:  25%| 5/20`), as opposed to the bar of one epoch (`Epoch 3:  25%| 100/400`).
_EPOCHS_BAR = re.compile(r"(?:^|\W)epochs?\W*$")
# SimpleTuner's `Epoch 1/4, Steps:` counts all the job's steps, unlike the bars that other trainers name by epoch.
_STEPS_BAR = re.compile(r"\bsteps\W*$")
_TORCHTUNE_BAR = re.compile(r"(?:^|\s)(?P<epoch>\d{1,9})\|\d{1,12}\|loss: \S{1,24}$")
_WORD = re.compile(r"[^\W\d_]{2,}")
_FILE = re.compile(r"\.[a-z]{2,12}:?$")
_TASK = re.compile(r"\b[a-z]{2,20}ing\b")
# fastai and notebooks print a table: a header of column names, then rows of numbers.
_TABLE_HEADER = re.compile(r"^(?P<first>epoch|step) (?:gpu_mem|train|training|valid|loss)[\w /]*$")
_TABLE_ROW = re.compile(r"^(?P<first>\d{1,9}) (?P<second>\d{1,9}\.\d{1,12})(?: |$)")
# `validation loss at iteration 100` tells the job's step; `Validation: iteration 1/10` counts the validation.
_AT_STEP = re.compile(r"\b(?:at|after) (?:global[ _])?(?:step|iteration)")


class LogReader:
    """Reads lines from old to new. What it knows afterwards stands in its attributes."""

    def __init__(self) -> None:
        self.stage: Stage | None = None
        self.position = Position()
        self.loss: float | None = None
        self.eta_seconds: int | None = None
        # Training was concluded from a nameless bar or a step 0 alone: the next words about set-up refute it.
        self._training_is_a_guess = False
        # The newest text named a task of the start-up: a nameless bar right below is the task's.
        self._announces_set_up = False
        self._table_counts: str | None = None
        self._code_follows = False

    def read(self, line: str) -> None:
        for part in bars_and_texts(line):
            if isinstance(part, Bar):
                self._read_bar(part)
            else:
                self._read_text(part)

    def _read_text(self, text: str) -> None:
        line = text.lower()
        if self._is_of_a_crash(text) or self._read_table(line):
            return
        counters = read_counters(line)
        self.position.learn_totals(counters.total_steps, counters.total_epochs)
        if stages.is_warning(text):
            # A warning's words speak about the code; `WARNING step 5/10: loss is nan` counts all the same.
            rule = stages.TRAINS if counters.has_share else None
        else:
            self._begin_run_at(line)
            rule = _text_rule(line, counters)
        self._announces_set_up = rule is not None and rule.stage == PREPROCESSING and bool(_TASK.search(line))
        if rule:
            self._follow(rule, line, counters)
        if self.stage == TRAINING and counters.within_epoch:
            self.position.within_epoch = counters.within_epoch
        if stages.RUN_ENDS.search(line):
            self.position.run_has_ended = True

    def _begin_run_at(self, line: str) -> None:
        if stages.RUN_BEGINS.search(line):
            self.position.begin_run()
            self._train()

    def _follow(self, rule: Rule, line: str, counters: Counters) -> None:
        is_certain = self.stage == TRAINING and not self._training_is_a_guess
        if self._enter(rule):
            # DeepSpeed logs a step 0 while it still sets its engine up.
            self._training_is_a_guess = counters.is_at_zero and not is_certain
            self._count(line, counters)

    def _read_bar(self, bar: Bar) -> None:
        counters = read_counters(bar.name)
        torchtune = _TORCHTUNE_BAR.search(bar.name)
        is_trainers_own = bool(torchtune) or counters.has_position or names_training_metric(bar.postfix)
        rule = _bar_rule(bar, is_trainers_own)
        if rule and rule.stage != TRAINING and not (rule.detail_of and is_trainers_own):
            self._enter(rule)
        elif rule or is_trainers_own or self._continues_the_jobs_bar(bar):
            epoch = Fraction(int(torchtune["epoch"])) if torchtune else None
            self._read_training_bar(bar, counters, epoch)
        else:
            self._read_nameless_bar(bar)

    def _read_training_bar(self, bar: Bar, counters: Counters, own_epoch: Fraction | None) -> None:
        self._train()
        for source in (counters, read_counters(bar.postfix)):
            if source.has_loss:
                self.loss = source.loss
        if epoch := own_epoch or counters.epoch:
            self.position.set_epoch(epoch)
        if bar.done is None:
            return
        drawn = Fraction(bar.done, bar.total)
        self.eta_seconds = bar.eta_seconds
        if _EPOCHS_BAR.search(bar.name):
            self.position.set_epoch(drawn)
            self.position.epochs_have_a_bar = True
        elif self.position.epochs_have_a_bar or (counters.epoch and not _STEPS_BAR.search(bar.name)):
            self.position.within_epoch = drawn
            self.eta_seconds = None
        else:
            self.position.draw_steps(drawn)

    def _read_nameless_bar(self, bar: Bar) -> None:
        """A bar with no name, or one that says nothing: the trainer's own, or that of whatever goes on."""
        is_beside_the_jobs = self.position.steps is not None and self.position.steps.total is not None
        if bar.done is None or self.stage == VALIDATION or (self.stage == SAVING and is_beside_the_jobs):
            return
        if self._is_of_set_up(bar):
            self._announces_set_up &= not bar.is_complete
            self._enter(stages.SETS_UP)
        elif is_beside_the_jobs and not (self._training_is_a_guess and self.position.is_finished):
            # The transformers Trainer draws its evaluation below its own bar, both without a name.
            self._enter(stages.VALIDATES)
        else:
            self._training_is_a_guess = self.stage != TRAINING or self._training_is_a_guess
            self.stage = TRAINING
            self.position.steps = Fraction(bar.done, bar.total)
            self.eta_seconds = bar.eta_seconds

    def _is_of_set_up(self, bar: Bar) -> bool:
        words = _WORD.findall(stages.words_of(bar.name))
        if bar.counts_data or _FILE.search(bar.name) or len(words) > 1 or any(_TASK.fullmatch(word) for word in words):
            return True
        if self.stage == TRAINING:
            return False
        return self._announces_set_up or (bar.is_complete and (self.stage == PREPROCESSING or bar.was_quick))

    def _continues_the_jobs_bar(self, bar: Bar) -> bool:
        steps = self.position.steps
        return bar.total is not None and bar.total in (self.position.total_steps, steps.total if steps else None)

    def _is_of_a_crash(self, line: str) -> bool:
        """A crash tells that the job broke, not what it was doing. A traceback's file names precede lines of code."""
        if self._code_follows:
            self._code_follows = False
            return True
        self._code_follows = stages.is_code_place(line)
        return self._code_follows or stages.is_error(line)

    def _read_table(self, line: str) -> bool:
        """A table of losses counts epochs or steps in its first column."""
        if header := _TABLE_HEADER.match(line):
            self._table_counts = header["first"].lower()
            self._train()
            return True
        row = _TABLE_ROW.match(line) if self._table_counts else None
        if row is None:
            return False
        counted = Fraction(int(row["first"]))
        if self._table_counts == "epoch":
            self.position.set_epoch(counted)
        else:
            self.position.set_steps(counted, are_the_jobs=True)
        self.loss = float(row["second"])
        self._train()
        return True

    def _enter(self, rule: Rule) -> bool:
        """Go into the rule's stage, unless its words are only a detail of the stage in hand."""
        if self.stage in rule.detail_of and not self._training_is_a_guess:
            return False
        self._settle_guess(was_right=rule.stage != PREPROCESSING)
        self.stage = rule.stage
        return True

    def _train(self) -> None:
        self._settle_guess(was_right=True)
        self.stage = TRAINING

    def _settle_guess(self, *, was_right: bool) -> None:
        if not self._training_is_a_guess:
            return
        self._training_is_a_guess = False
        if not was_right:
            self.position.forget()
        elif self.position.steps and self.position.steps.total:
            self.position.learn_totals(int(self.position.steps.total), None)

    def _count(self, line: str, counters: Counters) -> None:
        if counters.epoch:
            self.position.set_epoch(counters.epoch, only_begins=bool(stages.EPOCH_BEGINS.search(line)))
        if self.stage == VALIDATION and not _AT_STEP.search(line):
            return
        if counters.step:
            self.position.set_steps(counters.step, are_the_jobs=not counters.steps_may_be_of_the_epoch)
            self.eta_seconds = counters.eta_seconds
        if counters.has_loss:
            self.loss = counters.loss


def _bar_rule(bar: Bar, is_trainers_own: bool) -> Rule | None:
    """What the bar's name says. An identifier (`validation_step`) says it too, unless it may be the job's own name."""
    rule = stages.first_rule(stages.BAR_RULES, stages.words_of(bar.name))
    if rule or is_trainers_own:
        return rule
    return stages.first_rule(stages.BAR_RULES, stages.words_of(bar.name.replace("_", " ")))


def _text_rule(line: str, counters: Counters) -> Rule | None:
    """What the line's words and counters say, each weighed against the other."""
    if stages.is_evaluation_report(line):
        return stages.VALIDATES
    words = stages.words_of(line)
    if counters.has_position:
        words = stages.without_metrics(words)
    rule = stages.first_rule(stages.TEXT_RULES, words)
    if rule and not rule.detail_of:
        return rule
    if counters.has_position or stages.RUN_ENDS.search(line):
        return stages.TRAINS
    if counters.has_loss:
        return stages.TRAINS_OR_VALIDATES
    return rule or (stages.SETS_UP if stages.is_settings_dump(line) else None)
