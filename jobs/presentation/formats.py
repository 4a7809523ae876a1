"""Numbers, durations, times and money as text, in the reader's language.

``static/js/format.js`` says the same, to the letter, for values that move in the browser.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

MINUTE, HOUR, DAY = 60, 3600, 86_400
JUST_NOW = 3
RELATIVE_UP_TO = 7 * DAY
CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time: for machines, as distance from now, in full, and short of what is seldom needed."""

    iso: str
    relative: str
    absolute: str
    short: str


def moment(at: datetime | None, now: datetime) -> Moment | None:
    """How a page shows a time; ``None`` stays ``None``."""
    if at is None:
        return None
    in_utc = at.astimezone(UTC)
    return Moment(
        iso=in_utc.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        relative=relative_time(in_utc, now),
        absolute=f"{day_and_year(in_utc)}, {in_utc:%H:%M:%S} UTC",
        short=f"{day_and_month(in_utc)}, {in_utc:%H:%M}",
    )


def day_and_month(day: date) -> str:
    """``25 Nov``."""
    return _("%(day)s %(month)s") % {"day": day.day, "month": _month(day)}


def day_and_year(day: date) -> str:
    """``25 Nov 2026``."""
    return _("%(day)s %(month)s %(year)s") % {"day": day.day, "month": _month(day), "year": day.year}


def weekday_and_year(day: date) -> str:
    """``Wed 25 Nov 2026``."""
    return _("%(weekday)s %(date)s") % {"weekday": _weekday(day), "date": day_and_year(day)}


def _month(day: date) -> str:
    # Not Django's own: those differ from what browsers say, and are no abbreviations in Hindi.
    return (
        pgettext("month", "Jan"),
        pgettext("month", "Feb"),
        pgettext("month", "Mar"),
        pgettext("month", "Apr"),
        pgettext("month", "May"),
        pgettext("month", "Jun"),
        pgettext("month", "Jul"),
        pgettext("month", "Aug"),
        pgettext("month", "Sep"),
        pgettext("month", "Oct"),
        pgettext("month", "Nov"),
        pgettext("month", "Dec"),
    )[day.month - 1]


def _weekday(day: date) -> str:
    return (
        pgettext("weekday", "Mon"),
        pgettext("weekday", "Tue"),
        pgettext("weekday", "Wed"),
        pgettext("weekday", "Thu"),
        pgettext("weekday", "Fri"),
        pgettext("weekday", "Sat"),
        pgettext("weekday", "Sun"),
    )[day.weekday()]


def relative_time(at: datetime, now: datetime) -> str:
    """``just now``, ``12 s ago`` up to ``6 d ago``, then the date."""
    seconds = int(max((now - at).total_seconds(), 0))
    if seconds < JUST_NOW:
        return _("just now")
    if seconds < MINUTE:
        return _("%(count)s s ago") % {"count": seconds}
    if seconds < HOUR:
        return _("%(count)s min ago") % {"count": seconds // MINUTE}
    if seconds < DAY:
        return _("%(count)s h ago") % {"count": seconds // HOUR}
    if seconds < RELATIVE_UP_TO:
        return _("%(count)s d ago") % {"count": seconds // DAY}
    return day_and_year(at)


def duration(seconds: float | None) -> str:
    """The two largest units: ``45 s``, ``12 m 30 s``, ``2 h 15 m``, ``3 d 4 h``; nothing for ``None``."""
    if seconds is None:
        return ""
    whole = int(max(seconds, 0))
    if whole < MINUTE:
        return _("%(seconds)s s") % {"seconds": whole}
    if whole < HOUR:
        return _("%(minutes)s m %(seconds)s s") % {"minutes": whole // MINUTE, "seconds": whole % MINUTE}
    if whole < DAY:
        return _("%(hours)s h %(minutes)s m") % {"hours": whole // HOUR, "minutes": whole % HOUR // MINUTE}
    return _("%(days)s d %(hours)s h") % {"days": whole // DAY, "hours": whole % DAY // HOUR}


def rough_duration(seconds: float) -> str:
    """The same for being read: seconds are left out, because an estimate does not know them."""
    whole = int(max(seconds, 0))
    if whole < MINUTE:
        return _("less than 1 m")
    if whole < HOUR:
        return _("%(minutes)s m") % {"minutes": whole // MINUTE}
    return duration(whole)


def spoken_time_left(seconds: float) -> str:
    """An estimate as one would say it: ``about 2 hours left``."""
    if seconds < HOUR:
        count = max(round(seconds / MINUTE), 1)
        return ngettext("about %(count)s minute left", "about %(count)s minutes left", count) % {"count": count}
    if seconds < DAY:
        count = max(round(seconds / HOUR), 1)
        return ngettext("about %(count)s hour left", "about %(count)s hours left", count) % {"count": count}
    count = max(round(seconds / DAY), 1)
    return ngettext("about %(count)s day left", "about %(count)s days left", count) % {"count": count}


def money(amount: Decimal) -> str:
    """US dollars to the cent. What is less than a cent, but not nothing, is said to be so."""
    if 0 < amount < CENT:
        return "< $0.01"
    return f"${number(amount.quantize(CENT))}"


def number(value: float | Decimal, decimals: int | None = None) -> str:
    """In groups, as the language has them: ``1,00,000`` in Hindi. Without ``decimals``, with as many as it has."""
    return number_format(value, decimals, force_grouping=True)


SIZE_UNITS = ("KB", "MB", "GB")


def file_size(size: int) -> str:
    """``512 bytes``, ``1.5 KB``, ``100.0 MB``."""
    if size < 1024:
        return ngettext("%(count)s byte", "%(count)s bytes", size) % {"count": size}
    value, unit = size / 1024, 0
    while value >= 1024 and unit < len(SIZE_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.1f}\N{NO-BREAK SPACE}{SIZE_UNITS[unit]}"


def percent(value: float) -> str:
    """Whole per cents, rounded down: 100 is only said of what is complete."""
    return _("%(value)s %%") % {"value": int(value)}
