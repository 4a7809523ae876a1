"""Progress bars of tqdm and its kin inside a log line. Pure.

A bar is often glued to what was printed before or after it (`Steps: 1%|▏| 8/1000 [00:20<37:50]Running validation...`),
so a line is taken apart into bars and plain texts, in the order in which they stand.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from jobs.training_log.numbers import count, seconds

_COUNT = r"\d{1,12}(?:[.,]\d{1,6})?[kKMGT]?i?B?"
_BAR = re.compile(
    rf"""
    (?<![\d.])(?P<percent>\d{{1,3}})%
    (?:\ Completed)?\s{{0,3}}                               # vLLM: "50% Completed | 1/2"
    (?:(?P<drawing>\|[^|]*\||\||[━─╸╺╴]+)\s{{0,3}})?
    (?P<done>{_COUNT})\s?/\s?(?P<total>{_COUNT})
    (?:\s?\[(?P<elapsed>[\d:]{{1,12}})<(?P<eta>[\d:?]{{1,12}})
       (?P<postfix>(?:[^\[\]]|\[[^\[\]]*\])*)\]?            # a cut line has no closing bracket
    )?
    """,
    re.VERBOSE,
)
_CUT_BAR = re.compile(r"(?<![\d.])\d{1,3}%\|[^|]*(?:\|[ \d.,/]*)?$")
# Units of things that are read, moved or converted; a training bar counts iterations, steps or batches.
_DATA_UNIT = re.compile(r"(?:\b|[kmgt]i?)b/s|\b(?:examples?|ex|files?|images?|img|tables?|rows?|tokens?|shards?)/s")

_QUICK_SECONDS = 10
_PERCENT_TOLERANCE = 1.5


@dataclass(frozen=True, slots=True)
class Bar:
    """One drawing of a progress bar, its words in lower case.

    A bar that the end of the line cuts off has a name but no counts.
    """

    name: str
    done: int | None = None
    total: int | None = None
    elapsed_seconds: int | None = None
    eta_seconds: int | None = None
    postfix: str = ""

    @property
    def is_complete(self) -> bool:
        return self.done is not None and self.done == self.total

    @property
    def was_quick(self) -> bool:
        """Quicker than any training: a loop over a few files."""
        return self.elapsed_seconds is not None and self.elapsed_seconds < _QUICK_SECONDS

    @property
    def counts_data(self) -> bool:
        """Whether it counts bytes, files or examples, as loading and downloading do."""
        return bool(_DATA_UNIT.search(self.postfix))


def bars_and_texts(line: str) -> Iterator[Bar | str]:
    """The line's bars and the texts between them, left to right. Blank texts are left out."""
    end = 0
    for match in _BAR.finditer(line):
        if match["drawing"] is None and match["elapsed"] is None:
            continue
        if match["elapsed"] is None and not _counts_agree(match):
            break
        yield Bar(
            name=_plain(line[end : match.start()]),
            done=count(match["done"]),
            total=count(match["total"]),
            elapsed_seconds=seconds(match["elapsed"] or ""),
            eta_seconds=seconds(match["eta"] or ""),
            postfix=_plain(match["postfix"] or ""),
        )
        end = match.end()
    rest = line[end:]
    if cut := _CUT_BAR.search(rest):
        yield Bar(name=_plain(rest[: cut.start()]))
    elif rest.strip():
        yield " ".join(rest.split())


def _counts_agree(match: re.Match[str]) -> bool:
    """Whether the counts make the printed percentage. They do not when the log ends in the middle of the total."""
    done, total = count(match["done"]), count(match["total"])
    return not done or not total or abs(100 * done / total - int(match["percent"])) <= _PERCENT_TOLERANCE


def _plain(text: str) -> str:
    return " ".join(text.lower().split())
