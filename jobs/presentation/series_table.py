"""The course of a training in numbers: what stands behind the charts, and in their place without a script."""

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from jobs.presentation.formats import number as in_groups
from jobs.training_log.series import Point, Series

# A table is for being read; of more points as many are shown, evenly, and always the newest.
SHOWN_ROWS = 50


@dataclass(frozen=True, slots=True)
class SeriesTable:
    """One chart's numbers. ``name`` is the API's; ``latest`` and the rows are as they are read, newest first."""

    name: str
    title: str
    unit: str
    x_label: str
    latest: str
    least: str
    count: int
    rows: list[tuple[str, str]]

    @property
    def is_partial(self) -> bool:
        return self.count > len(self.rows)


def series_tables(series: Series) -> list[SeriesTable]:
    """The three charts, whether or not the log says anything for them."""
    x_label = {
        "step": pgettext("of a training", "Step"),
        "epoch": pgettext("of a training", "Epoch"),
        "line": _("Entry"),
    }[series.x_unit]
    titles = {
        "loss": (_("Loss"), ""),
        "learning_rate": (_("Learning rate"), ""),
        "seconds_per_step": (_("Seconds per step"), _(" s")),
    }
    return [_table(series.points, name, title, unit, x_label) for name, (title, unit) in titles.items()]


def number(value: float) -> str:
    """A value with the digits that tell it from its neighbours: ``0.0234``, ``5e-05``, ``1,500``."""
    return in_groups(value, 0) if value == int(value) and abs(value) < 1e12 else f"{value:.5g}"


def _table(points: tuple[Point, ...], name: str, title: str, unit: str, x_label: str) -> SeriesTable:
    told = [(point.x, value) for point in points if (value := getattr(point, name)) is not None]
    every = max(1, -(-len(told) // SHOWN_ROWS))
    return SeriesTable(
        name=name,
        title=title,
        unit=unit,
        x_label=x_label,
        latest=number(told[-1][1]) if told else "",
        least=number(min(value for _, value in told)) if told else "",
        count=len(told),
        rows=[(number(x), number(value)) for x, value in told[::-1][::every]],
    )
