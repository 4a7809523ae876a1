"""How far a job is, from the steps and epochs counted so far. Pure."""

from dataclasses import dataclass

from jobs.training_log.counters import Fraction


@dataclass(slots=True)
class Position:
    """Steps, epochs and totals of the current run. Totals outlive a restart; what was counted does not."""

    steps: Fraction | None = None
    epochs: Fraction | None = None
    within_epoch: Fraction | None = None
    total_steps: int | None = None
    total_epochs: int | None = None
    newest_epoch: float | None = None
    # `Step 5/10` may count the steps of one epoch; a bar, or a total of its own, counts the job's.
    steps_are_the_jobs: bool = True
    epoch_only_begins: bool = False
    # An epoch bar counts finished epochs; a step bar beside it starts anew with every epoch.
    epochs_have_a_bar: bool = False
    # Beside the job's own bar a text's `step 3/4` with another total counts something else.
    steps_have_a_bar: bool = False
    run_is_announced: bool = False
    run_has_ended: bool = False

    def begin_run(self) -> None:
        """What was counted before belongs to another run."""
        self.forget()
        self.run_is_announced = True

    def forget(self) -> None:
        self.steps = self.epochs = self.within_epoch = self.newest_epoch = None
        self.epochs_have_a_bar = self.steps_have_a_bar = self.run_has_ended = False

    def learn_totals(self, steps: int | None, epochs: int | None) -> None:
        self.total_steps = steps or self.total_steps
        self.total_epochs = epochs or self.total_epochs

    def set_steps(self, steps: Fraction, *, are_the_jobs: bool) -> None:
        steps = steps.completed_by(self.total_steps)
        if self.steps_have_a_bar and steps.total not in (None, self.total_steps):
            return
        self.run_has_ended = False
        if steps.total is None:
            self.steps, self.steps_are_the_jobs = Fraction(steps.done, self.total_steps), True
            return
        self.steps, self.steps_are_the_jobs = steps, are_the_jobs
        if are_the_jobs or self.epochs is None or self.epochs.total is None:
            self.total_steps = int(steps.total)

    def draw_steps(self, steps: Fraction) -> None:
        """The job's own bar."""
        self.steps_have_a_bar = False
        self.set_steps(steps, are_the_jobs=True)
        self.steps_have_a_bar = True

    def set_epoch(self, epochs: Fraction, *, only_begins: bool = False) -> None:
        self.newest_epoch = epochs.done
        epochs = epochs.completed_by(self.total_epochs)
        if epochs.total is not None:
            self.epochs, self.epoch_only_begins, self.within_epoch = epochs, only_begins, None
            self.total_epochs = int(epochs.total)
            self.run_has_ended = False
        elif self.epochs is None or self.epochs.total is None:
            # `Epoch 3: val_loss improved` after `Epoch 3/10` adds nothing: the pair is the better known.
            self.epochs = epochs

    @property
    def is_finished(self) -> bool:
        return self.run_has_ended or (self.steps is not None and self.steps.done == self.steps.total)

    def share(self) -> float | None:
        """How much of the whole job is done, from 0 to 1. Steps are finer than epochs, so they come first."""
        if self.run_has_ended:
            return 1.0
        steps = self.steps.share if self.steps else None
        epochs = self._epochs_share()
        if steps is not None and (self.steps_are_the_jobs or epochs is None or self._is_near_epoch(steps)):
            return steps
        if epochs is not None:
            return epochs
        has_counted = self.steps is not None or self.epochs is not None
        knows_total = self.total_steps or self.total_epochs
        return 0.0 if self.run_is_announced and knows_total and not has_counted else None

    def _epochs_share(self) -> float | None:
        """`epoch 3/10` is 30 % (SPEC A1.3), but the last epoch is not 100 % while it is known to go on."""
        if self.epochs is None:
            return None
        if self.epochs.total is None:
            return Fraction(self.epochs.done, self.total_epochs).share
        within = self.within_epoch.share if self.within_epoch else None
        goes_on = self.epoch_only_begins or (within is not None and within < 1)
        if goes_on and self.epochs.done == self.epochs.total and not self.epochs_have_a_bar:
            return Fraction(self.epochs.done - 1 + (within or 0), self.epochs.total).share
        return self.epochs.share

    def _is_near_epoch(self, steps: float) -> bool:
        """Whether the share of steps fits the epoch, counted from one or from zero; else they are the epoch's own."""
        if self.epochs is None or not self.epochs.total:
            return True
        epoch, total = self.epochs.done, self.epochs.total
        return (epoch - 1) / total <= steps <= (epoch + 1) / total
