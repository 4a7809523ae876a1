"""Keeping the log of a job whose provider may shorten, replace or delete its own. Pure.

Nothing that was read is given up: a copy that is no continuation of what is kept is appended behind a marker. Of an
archive beyond its limit the middle is cut out, because a log's beginning (settings) and its end (errors) tell the most.
"""

import hashlib
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

CHANGED = "\n--- The provider's log changed here. Above: what it said before. Below: what it says now. ---\n"
LEFT_OUT = "\n--- {count:,} characters were left out here: the log is longer, or older, than what is kept. ---\n"

# A shorter overlap may be chance: progress bars repeat themselves.
LEAST_OVERLAP_CHARACTERS = 256
MOST_OVERLAPS_TRIED = 64
# How far from where the room ends a line's end is looked for; a log of "\r" alone has none.
LINE_SEARCH_CHARACTERS = 1000
# What the end of a copy that was cut within a character reads as; the next copy has the character.
HALF_CHARACTERS = ("\ufffd", "\ufffd" * 2, "\ufffd" * 3)
CHUNK_CHARACTERS = 1024 * 1024
# A bookmark knows its place again by so much of what stands before it.
BOOKMARK_CHARACTERS = 4096
COMPRESSION_LEVEL = 6
DIGEST_BYTES = 16
# "0": nothing has been read yet.
BOOKMARK = re.compile(rf"[0-9]{{1,12}}(?:-(?:[0-9a-f]{{{2 * DIGEST_BYTES}}})?)?")


@dataclass(frozen=True, slots=True)
class Archive:
    """What is kept of a log: all is ``tail``, until ``left_out`` characters between ``head`` and ``tail`` are cut.

    ``has_gap``: between two copies, text may have come and gone unread.
    """

    tail: str = ""
    head: str = ""
    left_out: int = 0
    has_gap: bool = False

    @property
    def characters(self) -> int:
        """The length of all that was read, what was left out included."""
        return len(self.head) + self.left_out + len(self.tail)

    @property
    def text(self) -> str:
        """What is kept, with a plain notice where something was left out."""
        notice = LEFT_OUT.format(count=self.left_out) if self.left_out else ""
        return self.head + notice + self.tail

    @property
    def bookmark(self) -> str:
        """Where the text ends now, for ``since``."""
        return f"{self.characters}-{self._digest_before(self.characters)}"

    def since(self, bookmark: str) -> str | None:
        """What came after a bookmark; ``None`` if the bookmark's place is not here any more, or is of another text.

        A log only grows at its end, so whoever has all before a bookmark has it still, also when its middle was cut
        out here meanwhile. Only a half character at the end is ever replaced.
        """
        characters, _, digest = bookmark.partition("-")
        if not BOOKMARK.fullmatch(bookmark) or not digest:
            return None
        position = int(characters)
        if position > self.characters or digest != self._digest_before(position):
            return None
        return self.tail[position - len(self.head) - self.left_out :]

    def _digest_before(self, position: int) -> str:
        """Of the last characters before a place; empty if some of them were left out."""
        end = position - len(self.head) - self.left_out
        start = end - min(BOOKMARK_CHARACTERS, position)
        return digests(self.tail[start:end], end - start)[0] if start >= 0 else ""

    def within(self, limit: int) -> "Archive":
        """Cut the middle out until the rest has at most ``limit`` bytes of UTF-8."""
        head, tail = self.head, self.tail
        if len(head) + len(tail) <= limit and _bytes(head) + _bytes(tail) <= limit:
            return self
        if not self.left_out:
            head, tail = "", head + tail
            head = _beginning(tail, limit // 4)
        elif _bytes(head) > limit // 2:
            head = _beginning(head, limit // 4)
        tail = _end(tail, limit - _bytes(head))
        return Archive(tail, head, self.characters - len(head) - len(tail), self.has_gap)


def merge(kept: Archive, text: str) -> Archive:
    """Add a copy of the provider's log, whatever became of that log; ``kept`` itself if the copy tells nothing new."""
    offset = len(kept.head) + kept.left_out
    if not text.startswith(kept.head):
        start, shared = 0, common_prefix(kept.head, text)
        tail = kept.tail
    else:
        start, tail = offset, kept.tail
        if len(text) <= offset:
            return kept
        shared = common_prefix(tail, text[offset:])
        if shared == len(text) - offset:
            return kept
        if tail[shared:] in ("", *HALF_CHARACTERS):
            return Archive(text[offset:], kept.head, kept.left_out, kept.has_gap)
        if shared == 0 and kept.left_out:
            start = len(kept.head)
    line = text.rfind("\n", start, start + shared) + 1 or start
    rest = text[line:]
    if _holds(tail, rest) or _holds(kept.head, rest):
        return kept
    overlap = _overlap(tail, rest)
    if overlap:
        return Archive(tail + rest[overlap:], kept.head, kept.left_out, kept.has_gap)
    return Archive(tail + CHANGED + rest, kept.head, kept.left_out, kept.has_gap or line == 0)


def common_prefix(one: str, other: str) -> int:
    """How many characters two texts begin with in common."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def digests(text: str, *lengths: int) -> list[str]:
    """Digests of the text's beginnings, of ascending lengths, in one pass that copies little of it."""
    hasher, found, done = hashlib.blake2b(digest_size=DIGEST_BYTES), [], 0
    for length in lengths:
        for chunk in _chunks(text, done, length):
            hasher.update(chunk)
        found.append(hasher.copy().hexdigest())
        done = length
    return found


def compress(*texts: str) -> bytes:
    """zlib, chunk by chunk: a long log is never held as bytes in whole."""
    packer = zlib.compressobj(COMPRESSION_LEVEL)
    pieces = [packer.compress(chunk) for text in texts for chunk in _chunks(text, 0, len(text))]
    return b"".join([*pieces, packer.flush()])


def _chunks(text: str, start: int, end: int) -> Iterator[bytes]:
    for at in range(start, end, CHUNK_CHARACTERS):
        # Providers send no lone surrogates (their mapping replaces them); one that came all the same breaks nothing.
        yield text[at : min(at + CHUNK_CHARACTERS, end)].encode("utf-8", errors="replace")


def _overlap(kept: str, text: str) -> int:
    """How much of the beginning of ``text`` stands at the end of ``kept`` already."""
    newest = kept.rpartition(CHANGED)[2]
    if newest != kept and newest and text.startswith(newest):
        return len(newest)
    if len(text) < LEAST_OVERLAP_CHARACTERS:
        return 0
    # Searched backwards in mirror writing: find() takes linear time for any text, rfind() does not.
    mirrored, anchor, at = kept[::-1], text[LEAST_OVERLAP_CHARACTERS - 1 :: -1], -1
    for _ in range(MOST_OVERLAPS_TRIED):
        at = mirrored.find(anchor, at + 1)
        if at < 0:
            return 0
        length = at + LEAST_OVERLAP_CHARACTERS
        if text.startswith(kept[-length:]):
            return length
    return 0


def _holds(text: str, lines: str) -> bool:
    return text.startswith(lines) or f"\n{lines}" in text


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", errors="replace"))


def _beginning(text: str, room: int) -> str:
    """The beginning of a text, at most ``room`` bytes, to the end of a line if one is near."""
    found = text[:room].encode("utf-8", errors="replace")[:room].decode("utf-8", errors="ignore")
    line_end = found.rfind("\n", max(len(found) - LINE_SEARCH_CHARACTERS, 1))
    return found[: line_end + 1] if line_end > 0 else found


def _end(text: str, room: int) -> str:
    """The end of a text, at most ``room`` bytes, from the beginning of a line if one is near."""
    if room <= 0:
        return ""
    found = text[-room:].encode("utf-8", errors="replace")[-room:].decode("utf-8", errors="ignore")
    if len(found) == len(text):
        return found
    line_end = found.find("\n", 0, LINE_SEARCH_CHARACTERS)
    return found[line_end + 1 :] if 0 <= line_end < len(found) - 1 else found
