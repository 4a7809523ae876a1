"""What becomes of the copies of a log: jobs.log_archive and the rows of jobs.models.log."""

import itertools
import tracemalloc
import zlib
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from jobs.log_archive import CHANGED, Archive, common_prefix, compress, digests, merge
from jobs.models import JobLog

MIB = 1024**2

lines = st.text(st.sampled_from("ab1\r\x1b█\ufffd"), max_size=6)
texts = st.lists(lines, max_size=12).map("\n".join)


@st.composite
def provider_logs(draw: st.DrawFn) -> list[str]:
    """What a provider says of one log over time: it grows, and is cut, repeated, emptied, replaced, told late."""
    said = [draw(texts)]
    for _ in range(draw(st.integers(1, 7))):
        now = said[-1]
        how = draw(st.sampled_from(("grow", "grow", "behead", "shorten", "empty", "another", "old")))
        if how == "grow":
            said.append(now + draw(texts))
        elif how == "behead":
            said.append(now[draw(st.integers(0, len(now))) :] + draw(texts))
        elif how == "shorten":
            said.append(now[: draw(st.integers(0, len(now)))])
        elif how == "empty":
            said.append("")
        elif how == "another":
            said.append(draw(texts))
        else:
            said.append(draw(st.sampled_from(said)))
    return said


def archived(copies: Sequence[str], limit: int = MIB) -> Archive:
    kept = Archive()
    for copy in copies:
        kept = merge(kept, copy).within(limit)
    return kept


def settled_lines(text: str) -> list[str]:
    """The lines that are whole in any case: a copy may begin and end within a line."""
    return text.split("\n")[1:-1]


def without_half_characters(text: str) -> str:
    return text.rstrip("\ufffd")


def stored(log: JobLog) -> JobLog:
    """The row as the next reader gets it."""
    names = [field.attname for field in JobLog._meta.concrete_fields]
    return JobLog.from_db("default", names, [getattr(log, name) for name in names])


@given(provider_logs())
def test_nothing_that_was_ever_read_is_lost(copies: list[str]) -> None:
    kept = archived(copies)
    for copy in copies:
        for line in settled_lines(copy):
            assert line in kept.text.split("\n")
    longest = max(copies, key=len)
    assert len(kept.text) >= len(without_half_characters(longest))


@given(provider_logs())
def test_an_archive_only_grows(copies: list[str]) -> None:
    kept = Archive()
    for copy in copies:
        grown = merge(kept, copy)
        assert grown.text.startswith(without_half_characters(kept.text))
        assert grown.characters >= len(without_half_characters(kept.text))
        kept = grown


@given(provider_logs())
def test_a_copy_that_was_read_before_tells_nothing_new(copies: list[str]) -> None:
    kept = archived(copies)
    for copy in (copies[-1], copies[-1]):
        assert merge(kept, copy) is kept


@given(provider_logs())
def test_rows_keep_what_the_rule_keeps_whether_or_not_they_had_to_be_unpacked(copies: list[str]) -> None:
    log, kept = JobLog(), Archive()
    for copy in copies:
        log.replace(copy, is_final=False)
        log = stored(log)
        if copy:
            kept = merge(kept, copy)
        assert (log.text, log.characters) == (kept.text, kept.characters)


@given(provider_logs(), st.integers(8, 60))
def test_archive_stays_within_its_limit_and_counts_what_it_leaves_out(copies: list[str], limit: int) -> None:
    kept = Archive()
    for copy in copies:
        kept = merge(kept, copy).within(limit)
        assert len((kept.head + kept.tail).encode()) <= limit
        assert kept.characters == len(kept.head) + kept.left_out + len(kept.tail)
        assert ("left out" in kept.text) == (kept.left_out > 0)


@given(texts, texts)
def test_common_prefix_is_the_longest(one: str, other: str) -> None:
    length = common_prefix(one, other)
    assert one[:length] == other[:length]
    assert length == min(len(one), len(other)) or one[length] != other[length]


def numbered(first: int, last: int) -> str:
    return "".join(f"step {number}/100000 loss {number * 7919 % 1000}\n" for number in range(first, last))


def test_log_that_loses_its_head_at_the_provider_is_kept_in_one_piece() -> None:
    copies = [numbered(start, start + 100)[7:] for start in range(0, 1000, 20)]
    kept = archived([numbered(0, 100), *copies])
    assert kept.text == numbered(0, 1080)
    assert not kept.has_gap


def test_log_that_moved_on_unread_has_a_gap_and_says_so() -> None:
    kept = archived([numbered(0, 100), numbered(300, 400), numbered(350, 450), numbered(350, 460)])
    assert kept.text == numbered(0, 100) + CHANGED + numbered(300, 460)
    assert kept.has_gap


def test_log_that_was_replaced_from_some_line_on_keeps_both_ends() -> None:
    kept = archived(["a\nb\nold end", "a\nb\nnew end", "a\nb\nnew end and more\n", "a\nb\nold end"])
    assert kept.text == f"a\nb\nold end{CHANGED}new end and more\n"
    assert not kept.has_gap


def test_character_that_was_cut_in_two_is_whole_in_the_next_copy() -> None:
    kept = archived(["50%|\ufffd\ufffd", "50%|██\n60%"])
    assert kept.text == "50%|██\n60%"


def test_log_beyond_the_limit_keeps_its_beginning_and_its_newest_end_while_it_grows(settings: Settings) -> None:
    settings.LOG_ARCHIVE_BYTES = 4000
    log = JobLog()
    for last in range(50, 1000, 50):
        whole = numbered(0, last)
        log.replace(whole, is_final=False)
        log = stored(log)
        assert log.characters == len(whole)
        assert log.text.startswith(numbered(0, 20))
        assert log.text.endswith(numbered(last - 20, last))
        assert log.is_cut == (len(whole) > 4000)
        if log.is_cut:
            left_out = f"--- {log.left_out_characters:,} characters were left out here"
            head, _, tail = log.text.partition(f"\n{left_out}")
            assert whole.startswith(head)
            assert whole.endswith(tail.split("---\n", 1)[1])
    assert len(zlib.decompress(log.compressed)) <= 4000


def test_cut_log_that_changes_at_the_provider_keeps_head_and_new_end(settings: Settings) -> None:
    settings.LOG_ARCHIVE_BYTES = 4000
    log = JobLog()
    for copy in (numbered(0, 500), numbered(0, 480), numbered(400, 600), "restarted\n"):
        log.replace(copy, is_final=False)
        log = stored(log)
    assert log.text.startswith(numbered(0, 20))
    assert numbered(590, 600) in log.text
    assert log.text.endswith(f"{CHANGED}restarted\n")


def test_row_from_before_the_archive_goes_on_where_it_was() -> None:
    log = JobLog(compressed=compress("step 1\n"), characters=7)
    log.replace("step 1\nstep 2\n", is_final=False)
    assert (log.text, log.is_cut) == ("step 1\nstep 2\n", False)
    assert stored(log).follow("step 1\nstep 2\nstep 3\n")


def test_copy_that_continues_the_last_one_is_taken_over_without_reading_ours() -> None:
    log = JobLog()
    log.replace("step 1\n", is_final=False)
    log.compressed = b"not zlib at all"
    log.replace("step 1\nstep 2\n", is_final=False)
    assert log.text == "step 1\nstep 2\n"


def test_an_equal_length_is_not_taken_for_an_equal_log() -> None:
    log = JobLog()
    log.replace("step 1\n", is_final=False)
    log.replace("step 2\n", is_final=False)
    assert "step 1\n" in log.text
    assert log.text.endswith("step 2\n")


@given(provider_logs())
def test_a_follower_has_what_is_kept_whatever_the_provider_does(copies: list[str]) -> None:
    kept, bookmark, read, was_told_anew = Archive(), "0", "", 0
    for copy in copies:
        kept = merge(kept, copy)
        since = kept.since(bookmark)
        was_told_anew += since is None
        read = kept.text if since is None else read + since
        bookmark = kept.bookmark
        assert read == kept.text
    # Once at first; else only where the end of what was read had been half a character.
    assert was_told_anew == 1 or "\ufffd" in "".join(copies)


def test_a_follower_goes_on_while_the_middle_is_cut_out(settings: Settings) -> None:
    settings.LOG_ARCHIVE_BYTES = 20_000
    log = JobLog()
    bookmark, read = "0", ""
    for last in range(250, 5000, 250):
        log.replace(numbered(0, last), is_final=False)
        archive = stored(log).archive
        since = archive.since(bookmark)
        read = archive.text if since is None else read + since
        bookmark = archive.bookmark
    assert log.is_cut
    assert read == numbered(0, 4750)


@pytest.mark.parametrize(
    ("bookmark", "reason"),
    [
        ("0", "nothing was read"),
        ("", "no bookmark"),
        ("nonsense", "not one of ours"),
        ("8-" + "0" * 32, "of another text"),
        ("999-" + "0" * 32, "beyond the end"),
        ("8-", "its place could not be told"),
        ("٨-" + "0" * 32, "digits of another script"),
    ],
)
def test_a_bookmark_of_no_place_here_starts_over(bookmark: str, reason: str) -> None:
    assert Archive("step 1\nstep 2\n").since(bookmark) is None, reason


def test_a_bookmark_in_what_was_left_out_starts_over() -> None:
    whole = numbered(0, 3000)
    early = Archive(whole[:12_000]).bookmark
    assert Archive(whole).since(early) == whole[12_000:]
    assert Archive(whole, "").within(10_000).since(early) is None


def test_digests_are_those_of_the_beginnings() -> None:
    text = "█" * (MIB + 5)
    assert digests(text, 3, MIB + 1) == [digests("███", 3)[0], digests("█" * (MIB + 1), MIB + 1)[0]]


def drawings(size: int) -> Iterator[str]:
    """A storm of redrawn bars, without a line's end."""
    for number in itertools.count():
        yield f"\r{number % 101:3d}%|████▎     | {number}/3000 [43:27<09:04, 1.05s/it]"
        size -= 45
        if size < 0:
            return


@pytest.mark.parametrize("kind", ["lines", "drawings", "same"])
def test_memory_for_a_huge_log_is_bounded_by_the_limit_not_by_the_log(settings: Settings, kind: str) -> None:
    settings.LOG_ARCHIVE_BYTES = MIB // 2
    size = 20 * MIB
    text = {"lines": "epoch 1, all is well\n" * (size // 21), "drawings": "".join(drawings(size)), "same": "x" * size}[
        kind
    ]
    log = JobLog()
    log.replace(text[: size // 2], is_final=False)
    tracemalloc.start()
    log.replace(text, is_final=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12 * MIB
    assert log.text.endswith(text[-1000:])
    assert log.is_cut
