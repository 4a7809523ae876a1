"""What a whole training log says of loss, learning rate and speed, step by step: log text -> points. Pure.

The log may be long, so it is searched for the places that speak of each, and only the lines worth drawing are read:
of each stretch those with the least and the greatest value.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import itemgetter

from jobs.training_log.lines import CURSOR_MOVE, ESCAPE
from jobs.training_log.series_lines import RATE, LineFacts, line_facts

UNITS = ("step", "epoch", "line")
# Of each stretch of the text two lines are read for each series; with fewer series there are more stretches.
STRETCHES = 384
MAX_POINTS = 2 * STRETCHES
# Of a longer text, as much is read in slices that lie evenly across it.
MAX_CHARACTERS = 8 * 1024 * 1024
SLICES = 128
# A line without an end is read around the place that matters.
LINE_REACH_CHARACTERS = 400
LOOK_BACK_CHARACTERS = 2000
# Rates are looked at one by one to be compared; of more of them as many are, evenly.
MOST_RATES = 4000
# Fewer points that lie before the one above them are strays, not a training that went back.
LEAST_POINTS_OF_A_RUN = 3

# Each begins with plain letters, which makes the search of megabytes quick; what they find is looked at again.
_LOSS_PLACE = re.compile(r"loss(?: value)?[\"']? ?[:=]? ?([-+]?\d{1,18}(?:\.\d{0,24})?(?:e[-+]?\d{1,4})?)")
_FAST_LOSS_PLACE = re.compile(r"<[\d:]{1,12} (\d{1,9}\.\d{1,9})\]")
_LR_PLACE = re.compile(r"l(?:r|earning[ _]rate)[\"']?\s?[:=|]\s?([-+]?\d{1,18}(?:\.\d{0,24})?(?:e[-+]?\d{1,4})?)")
_RATE_PLACE = re.compile(r"/(?:it|s|step|iter|batch)\b|per iteration")
_EPOCH_PLACE = re.compile(r"epoch[\"']?[ :=#\[(]{0,3}(\d{1,6}(?:\.\d{1,9})?)")
_TOTAL_PLACE = re.compile(r"/(\d{1,12}) \[[\d:]{1,12}<")
_NAMELESS_BAR = re.compile(r"\s*\d{1,3}%\|[^|]*\| *\d{1,12}/")


@dataclass(frozen=True, slots=True)
class Point:
    """What is said at one place of the training; ``None``: nothing."""

    x: float
    loss: float | None = None
    learning_rate: float | None = None
    seconds_per_step: float | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """Points in the order of ``x``, which counts what ``x_unit`` says. ``is_thinned``: there were more."""

    x_unit: str = "step"
    points: tuple[Point, ...] = ()
    is_thinned: bool = False


def read_series(text: str) -> Series:
    """Read a log of any length and content; takes no longer for one beyond ``MAX_CHARACTERS``."""
    log = _Log(_searchable(text))
    places, is_thinned = log.places()
    if not places:
        return Series()
    facts = [fact for place in places if (fact := log.facts(place))]
    unit, points = _placed(facts)
    return Series(unit, tuple(_without_overtaken(points)), is_thinned or len(text) > MAX_CHARACTERS)


class _Log:
    """A text made fit for searching, and what it says of bars and epochs as a whole."""

    def __init__(self, text: str) -> None:
        self.text = text
        epochs = [(match.start(), float(match[1])) for match in _EPOCH_PLACE.finditer(text)]
        self._epoch_places = [place for place, _ in epochs]
        self._epochs = [epoch for _, epoch in epochs]
        self.own_total = self._total_of_nameless_bars()
        self._own_count = re.compile(rf"(?<![\d.])(\d{{1,12}})/{self.own_total} \[") if self.own_total else None

    def places(self) -> tuple[list[int], bool]:
        """The beginnings of the lines to read."""
        chosen: dict[int, int] = {}
        is_thinned = False
        told = [found for found in (self._losses(), self._learning_rates(), self._rates()) if found]
        for found in told:
            kept = _extremes(found, STRETCHES // len(told))
            is_thinned |= len(kept) < len(found)
            for place, _ in kept:
                chosen.setdefault(self._line_start(place), place)
        return sorted(chosen.values()), is_thinned

    def facts(self, place: int) -> LineFacts | None:
        """What the line around a place says, with the step and epoch that it stands below."""
        start = self._line_start(place)
        end = self.text.find("\n", place, place + LINE_REACH_CHARACTERS)
        line = self.text[start : end if end >= 0 else place + LINE_REACH_CHARACTERS]
        found = line_facts(line, self.own_total)
        if found is None:
            return None
        if found.epoch is None:
            at = bisect_left(self._epoch_places, place) - 1
            found = replace(found, epoch=self._epochs[at] if at >= 0 else None)
        return found if found.step is not None else replace(found, step=self._step_above(start))

    def _step_above(self, start: int) -> int | None:
        """The count of the trainer's own bar, where the numbers stand in a line of their own below it."""
        if self._own_count is None:
            return None
        above = self._own_count.findall(self.text, max(0, start - LOOK_BACK_CHARACTERS), start)
        return int(above[-1]) if above else None

    def _line_start(self, place: int) -> int:
        nearest = max(0, place - LINE_REACH_CHARACTERS)
        return max(self.text.rfind("\n", nearest, place) + 1, nearest)

    def _losses(self) -> list[tuple[int, float]]:
        found = _values(_LOSS_PLACE, self.text)
        return found or _values(_FAST_LOSS_PLACE, self.text)

    def _learning_rates(self) -> list[tuple[int, float]]:
        return _values(_LR_PLACE, self.text)

    def _rates(self) -> list[tuple[int, float]]:
        places = [match.start() for match in _RATE_PLACE.finditer(self.text)]
        every = max(1, -(-len(places) // MOST_RATES))
        found = []
        for place in places[::every]:
            if rate := RATE.search(self.text, max(0, place - 16), place + 40):
                found.append((place, float(rate["value"] or rate["milliseconds"])))
        return found

    def _total_of_nameless_bars(self) -> int | None:
        """The transformers Trainer draws its own bar and that of its evaluation without a name: the longer is its own.

        A bar that was drawn once says nothing.
        """
        seen: dict[str, list[int]] = {}
        for match in _TOTAL_PLACE.finditer(self.text):
            seen.setdefault(match[1], []).append(match.start())
        totals = [
            int(total)
            for total, places in seen.items()
            if len(places) > 1 and _NAMELESS_BAR.match(self.text, self._line_start(places[0]))
        ]
        return max(totals, default=None)


def _searchable(text: str) -> str:
    """The text in lower case, each redraw as a line of its own, without colours."""
    if len(text) > MAX_CHARACTERS:
        text = "\n".join(_slices(text))
    if "\x1b" in text:
        text = ESCAPE.sub("", CURSOR_MOVE.sub("\n", text))
    return text.replace("\r", "\n").replace("\b", "\n").lower()


def _slices(text: str) -> Iterator[str]:
    size = MAX_CHARACTERS // SLICES
    for number in range(SLICES):
        start = (len(text) - size) * number // (SLICES - 1)
        piece = text[start : start + size]
        # The first line is cut in the middle, and so may be the last; numbers cut short would be other numbers.
        first = piece.find("\n") + 1 or piece.find("\r") + 1 if start else 0
        last = max(piece.rfind("\n"), piece.rfind("\r"))
        yield piece[first:] if start + size >= len(text) or last < 0 else piece[first:last]


def _values(pattern: re.Pattern[str], text: str) -> list[tuple[int, float]]:
    return [(match.start(), float(match[1])) for match in pattern.finditer(text)]


def _extremes(found: list[tuple[int, float]], stretches: int) -> list[tuple[int, float]]:
    """All, or the first, the last, and of each stretch the least and the greatest."""
    if len(found) <= 2 * stretches:
        return found
    value = itemgetter(1)
    kept = [found[0], found[-1]]
    for number in range(stretches - 1):
        stretch = found[len(found) * number // (stretches - 1) : len(found) * (number + 1) // (stretches - 1)]
        kept += (min(stretch, key=value), max(stretch, key=value))
    return kept


def _placed(facts: list[LineFacts]) -> tuple[str, list[Point]]:
    """Where each stands: at its step if most have one, else at its epoch, else at its number."""
    most = len(facts) / 2
    with_step = [fact for fact in facts if fact.step is not None]
    if len(with_step) >= most:
        return "step", [_point(fact, step) for fact, step in zip(with_step, _job_steps(with_step), strict=True)]
    with_epoch = [fact for fact in facts if fact.epoch is not None]
    if len(with_epoch) >= most and len({fact.epoch for fact in with_epoch}) > 1:
        return "epoch", [_point(fact, fact.epoch or 0.0) for fact in with_epoch]
    return "line", [_point(fact, number) for number, fact in enumerate(facts, 1)]


def _job_steps(facts: list[LineFacts]) -> Iterator[float]:
    """Steps of the whole job, where those of each epoch are counted anew."""
    by_epoch = any(fact.is_within_epoch for fact in facts) or any(
        (one.step or 0) > (other.step or 0)
        and one.epoch is not None
        and other.epoch is not None
        # A later run of the same job starts its epochs anew, too.
        and int(one.epoch) < int(other.epoch)
        for one, other in pairwise(facts)
    )
    first = 0 if any(fact.epoch == 0 for fact in facts) else 1
    longest = max((fact.step or 0 for fact in facts), default=0)
    for fact in facts:
        before = max(int(fact.epoch) - first, 0) if by_epoch and fact.epoch is not None else 0
        yield before * (fact.total or longest) + (fact.step or 0)


def _point(fact: LineFacts, x: float) -> Point:
    return Point(x, fact.loss, fact.learning_rate, fact.seconds_per_step)


def _without_overtaken(points: list[Point]) -> list[Point]:
    """One point for each place. Where the training went back to a checkpoint, what it then did again counts."""
    kept: list[Point] = []
    strays = 0
    for number, point in enumerate(points):
        if strays:
            strays -= 1
            continue
        if kept and point.x < kept[-1].x:
            behind = _count_behind(points, number, kept[-1].x)
            if behind < LEAST_POINTS_OF_A_RUN:
                strays = behind - 1
                continue
        while kept and kept[-1].x > point.x:
            kept.pop()
        if kept and kept[-1].x == point.x:
            kept[-1] = _joined(kept[-1], point)
        else:
            kept.append(point)
    return kept


def _count_behind(points: list[Point], start: int, x: float) -> int:
    """How many points in a row, up to what makes a run, lie before ``x``."""
    count = 0
    for point in points[start : start + LEAST_POINTS_OF_A_RUN]:
        if point.x >= x:
            break
        count += 1
    return count


def _joined(one: Point, later: Point) -> Point:
    said = {name: value for name in ("loss", "learning_rate", "seconds_per_step") if (value := getattr(later, name))}
    return replace(one, **said)
