"""Progress bars as tqdm draws them: every redraw starts with a carriage return and ends with no line feed."""

from __future__ import annotations

BAR_CELLS = 10
EIGHTHS = " ▏▎▍▌▋▊▉"


def clock_text(seconds: float) -> str:
    """`mm:ss`, or `h:mm:ss` from an hour on."""
    minutes, second = divmod(int(max(seconds, 0.0)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute:02d}:{second:02d}"


def rate_text(seconds_per_item: float) -> str:
    """Whichever of `s/it` and `it/s` is above one."""
    if seconds_per_item <= 0:
        return "?it/s"
    if seconds_per_item >= 1:
        return f"{seconds_per_item:5.2f}s/it"
    return f"{1 / seconds_per_item:5.2f}it/s"


def bar(label: str, done: int, total: int, elapsed: float, seconds_per_item: float, postfix: str = "") -> str:
    """One redraw of a bar, without the carriage return before it."""
    share = done / total if total else 1.0
    full, eighth = divmod(int(share * BAR_CELLS * 8), 8)
    cells = ("█" * full + (EIGHTHS[eighth] if full < BAR_CELLS else "")).ljust(BAR_CELLS)
    remaining = clock_text((total - done) * seconds_per_item) if done else "?"
    rate = rate_text(seconds_per_item) if done else "?it/s"
    details = f"{clock_text(elapsed)}<{remaining}, {rate}{', ' + postfix if postfix else ''}"
    return f"{label + ': ' if label else ''}{share * 100:3.0f}%|{cells}| {done}/{total} [{details}]"
