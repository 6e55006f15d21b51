# SPDX-License-Identifier: EUPL-1.2
"""SQLite's write-ahead log read frame by frame: where it is damaged, and what that frame was.

Each frame carries a checksum that goes on from that of the frame before. A frame that does not
follow, while the next one follows from what it says, is damaged alone. The checksum is linear, so
that the one byte whose change explains a difference can be computed.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

_Bytes = npt.NDArray[np.uint8]
_Words = npt.NDArray[np.uint32]

HEADER_BYTES: Final = 32
FRAME_HEADER_BYTES: Final = 24
_MAGIC: Final = 0x377F0682  # the lowest bit says that words are big-endian
_VERSION: Final = 3_007_000
_CHUNK: Final = 256


class Patch(NamedTuple):
    """Bytes that belong at a place of a file."""

    offset: int
    content: bytes


Option = tuple[Patch, ...]


class Fix(NamedTuple):
    """What a damaged frame may have been.

    Attributes:
        frame: its number, from 0.
        options: ways to put it right, the most likely first; an empty one leaves its content.
        exact: whether the only option restores what was written.
        checksum: the one it had.
    """

    frame: int
    options: tuple[Option, ...]
    exact: bool
    checksum: _Words


class Findings(NamedTuple):
    """What became of a write-ahead log.

    Attributes:
        fixes: the damaged frames before the last commit that can be read then.
        end: how many frames can be read with them.
        left: whether more frames of this generation lie behind that end.
    """

    fixes: list[Fix]
    end: int
    left: bool


class WriteAheadLog:
    """The frames of one write-ahead log, over the bytes of the file."""

    def __init__(self, content: _Bytes, header: bytes | None = None) -> None:
        """Take the bytes, and a header in place of a damaged one.

        Raises:
            ValueError: the header is damaged.
        """
        self.content = content
        head = content[:HEADER_BYTES].tobytes() if header is None else header
        if not _is_header(head):
            raise ValueError("no header of a write-ahead log")
        self.page_bytes = int.from_bytes(head[8:12])
        self.salts = head[16:24]
        self.frame_bytes = FRAME_HEADER_BYTES + self.page_bytes
        self.count = max(0, content.size - HEADER_BYTES) // self.frame_bytes
        self._words = _word_type(head)
        self._first = np.frombuffer(head[24:32], ">u4").astype(np.uint32)
        whole = content[HEADER_BYTES : HEADER_BYTES + self.count * self.frame_bytes]
        self._frames = whole.reshape(self.count, self.frame_bytes)
        self.pages = self._numbers(0, 4)[:, 0]
        self.commits = self._numbers(4, 8)[:, 0]
        self._stored = self._numbers(16, 24)
        salts = np.frombuffer(self.salts, np.uint8)
        self._of_now = (self._frames[:, 8:16] == salts).all(axis=1)

    def _numbers(self, first: int, last: int) -> _Words:
        found = np.ascontiguousarray(self._frames[:, first:last]).view(">u4")
        return found.astype(np.uint32)

    def offset(self, frame: int) -> int:
        """Return where a frame begins in the file."""
        return HEADER_BYTES + frame * self.frame_bytes

    def page(self, frame: int) -> _Bytes:
        """Return the page a frame holds."""
        return self._frames[frame, FRAME_HEADER_BYTES:]

    @functools.cached_property
    def _sums(self) -> _Words:
        """What each frame's content adds to the checksum."""
        sums = np.empty((self.count, 2), np.uint32)
        for first in range(0, self.count, _CHUNK):
            sums[first : first + _CHUNK] = self._summed(slice(first, first + _CHUNK))
        return sums

    def _summed(self, frames: slice) -> _Words:
        words = self._content(frames).view(self._words).astype(np.uint32)
        weights = _fibonacci(words.shape[1])
        sums = [(words * weights[end::-1][: words.shape[1]]).sum(1, np.uint32) for end in (-3, -2)]
        return np.stack(sums, axis=1)

    def _content(self, frames: slice) -> _Bytes:
        """Return what the checksums of some frames take in."""
        held = self._frames[frames]
        return np.concatenate([held[:, :8], held[:, FRAME_HEADER_BYTES:]], axis=1)

    def _expected(self, before: _Words, sums: _Words) -> _Words:
        """Return the checksum of frames, given those of the frames before them."""
        last, this, following = _fibonacci(2 + self.page_bytes // 4)[-3:]
        # Slices, because a single number of numpy warns where an array wraps around.
        one, other = before[..., :1], before[..., 1:]
        first = one * last + other * this + sums[..., :1]
        second = one * this + other * following + sums[..., 1:]
        return np.concatenate([first, second], axis=-1)

    @functools.cached_property
    def _follows(self) -> npt.NDArray[np.bool_]:
        """Which frames are whole, going by what the one before says of itself."""
        before = np.concatenate([self._first[None], self._stored[:-1]])
        expected = self._expected(before, self._sums)
        whole: npt.NDArray[np.bool_] = (expected == self._stored).all(axis=1) & self._of_now
        return whole

    def _follows_from(self, frame: int, before: _Words) -> bool:
        if frame >= self.count or not self._of_now[frame]:
            return False
        expected = self._expected(before, self._sums[frame])
        return bool((expected == self._stored[frame]).all())

    def begins(self) -> bool:
        """Tell whether the first frame follows from the header."""
        return self.count > 0 and bool(self._follows[0])

    def examine(self) -> Findings:
        """Find the frames that are damaged, up to where there is nothing more to be had."""
        fixes: list[Fix] = []
        at = self._whole_from(0)
        while at < self.count:
            before = fixes[-1].checksum if fixes and fixes[-1].frame == at - 1 else None
            fix = self._fix(at, self._before(at) if before is None else before)
            if fix is None:
                break
            fixes.append(fix)
            at += 1
            if self._follows_from(at, fix.checksum):
                at = self._whole_from(at + 1)
        left = at < self.count and bool(self._of_now[at])
        commits = [*np.flatnonzero(self.commits[:at])[-1:].tolist()]
        commits += [one.frame for one in fixes if self._may_commit(one)]
        return Findings([one for one in fixes if one.frame <= max(commits, default=-1)], at, left)

    def _may_commit(self, fix: Fix) -> bool:
        field = range(self.offset(fix.frame) + 4, self.offset(fix.frame) + 8)
        return any(patch.offset in field for option in fix.options for patch in option)

    def _whole_from(self, first: int) -> int:
        """Return the first frame from a given one that does not follow from the one before."""
        broken = np.flatnonzero(~self._follows[first:])
        return first + int(broken[0]) if broken.size else self.count

    def _before(self, frame: int) -> _Words:
        return self._stored[frame - 1] if frame else self._first

    def _fix(self, frame: int, before: _Words) -> Fix | None:
        """Return what a frame was that does not follow, None where nothing tells."""
        told = self._stored[frame]
        computed = self._expected(before, self._sums[frame])
        if (told == computed).all():
            salts = Patch(self.offset(frame) + 8, self.salts)
            return Fix(frame, ((salts,),), True, told)
        if not self._of_now[frame]:
            return None
        if self._follows_from(frame + 1, computed):
            return Fix(frame, ((),), True, computed)
        options = [(patch,) for patch in self._changed_bytes(frame, told - computed)]
        supported = self._follows_from(frame + 1, told)
        if not supported and _differing_bytes(told, computed) == 1:
            # Its checksum may be what changed, or the last word of the page.
            return Fix(frame, ((), *options), not options, computed if not options else told)
        if options:
            unsure = ((),) if len(options) > 1 else ()
            return Fix(frame, (*unsure, *options), not unsure, told)
        believed = self._is_in_order(frame) and self._was_synced(frame)
        return Fix(frame, ((),), False, told) if believed else None

    def _is_in_order(self, frame: int) -> bool:
        """Tell whether a page number fits: SQLite writes the pages of a commit in their order."""
        first = frame - 1 if frame and not self.commits[frame - 1] else frame
        last = frame if self.commits[frame] else frame + 1
        return bool((np.diff(self.pages[first : last + 1].astype(np.int64)) > 0).all())

    def _was_synced(self, frame: int) -> bool:
        """Tell whether a commit behind this frame has another frame behind it.

        Only then was this one on the disk as a whole once: SQLite syncs a commit before it writes
        the next one. What a power cut left of the last one must not come back.
        """
        behind = slice(frame + 1, None)
        strange = np.flatnonzero(~self._of_now[behind])
        behind = slice(frame + 1, frame + 1 + int(strange[0])) if strange.size else behind
        whole = self._follows[behind]
        commits = np.flatnonzero((self.commits[behind] > 0) & whole)
        return bool(commits.size and whole[commits[0] + 1 :].any())

    def _changed_bytes(self, frame: int, difference: _Words) -> list[Patch]:
        """Return every byte of a frame whose change alone explains a difference of its checksum.

        A word weighs a Fibonacci number in each half of the checksum, and of two that follow each
        other one is odd: that half tells by how much the word would have changed.
        """
        held = self._content(slice(frame, frame + 1))[0]
        count = held.size // 4
        weights = _fibonacci(count)
        second, first = weights[-2::-1][:count], weights[-3::-1][:count]
        odd = second % 2 == 1
        inverse = _inverse(np.where(odd, second, first))
        changes = inverse * np.where(odd, difference[1], difference[0])
        fits = (changes * second == difference[1]) & (changes * first == difference[0])
        return [
            Patch(self.offset(frame) + (place if place < 8 else place + 16), bytes([value]))
            for word in np.flatnonzero(fits).tolist()
            for place, value in self._changed(held, word, int(changes[word]))
        ]

    def _changed(self, held: _Bytes, word: int, change: int) -> Iterator[tuple[int, int]]:
        """Yield the byte of a word, and its value, that changes the word by so much."""
        for shift in range(0, 32, 8):
            place = 4 * word + (shift // 8 if self._words == "<u4" else 3 - shift // 8)
            signed = change - (1 << 32) if change >> 31 else change
            step, rest = divmod(signed, 1 << shift)
            value = int(held[place]) + step
            if shift == 24:
                value %= 256
            if not rest and 0 <= value < 256:
                yield place, value

    def chained(self, first: int, end: int) -> Iterator[Patch]:
        """Yield the checksums of frames, computed anew from one frame on."""
        before = self._before(first)
        for frame in range(first, end):
            before = self._expected(before, self._sums[frame])
            yield Patch(self.offset(frame) + 16, before.astype(">u4").tobytes())


def restored_header(content: _Bytes) -> bytes | None:
    """Return the header with the one byte put right that makes the first frame follow."""
    held = content[:HEADER_BYTES].tobytes()
    if len(held) < HEADER_BYTES:
        return None
    for place in range(HEADER_BYTES):
        for value in range(256):
            tried = held[:place] + bytes([value]) + held[place + 1 :]
            if _is_header(tried) and WriteAheadLog(content, tried).begins():
                return tried
    return None


def _is_header(head: bytes) -> bool:
    if len(head) < HEADER_BYTES or int.from_bytes(head[:4]) & ~1 != _MAGIC:
        return False
    page_bytes = int.from_bytes(head[8:12])
    if not 512 <= page_bytes <= 65_536 or page_bytes & (page_bytes - 1):
        return False
    first = second = 0
    for word in np.frombuffer(head[:24], _word_type(head)).tolist():
        first, second = second, (first + second + word) & 0xFFFFFFFF
    stored = (int.from_bytes(head[24:28]), int.from_bytes(head[28:32]))
    return int.from_bytes(head[4:8]) == _VERSION and (first, second) == stored


def _word_type(head: bytes) -> str:
    return ">u4" if head[3] & 1 else "<u4"


def _differing_bytes(one: _Words, other: _Words) -> int:
    return int((one.view(np.uint8) != other.view(np.uint8)).sum())


@functools.lru_cache(maxsize=4)
def _fibonacci(count: int) -> _Words:
    """Return the Fibonacci numbers from 0 to ``count`` + 1, modulo 2**32."""
    numbers = [0, 1]
    while len(numbers) < count + 2:
        numbers.append((numbers[-1] + numbers[-2]) & 0xFFFFFFFF)
    return np.array(numbers, np.uint32)


def _inverse(odd: _Words) -> _Words:
    """Return the inverses modulo 2**32 of odd numbers; each step doubles the bits found."""
    found = odd.copy()
    for _ in range(5):
        found = found * (np.uint32(2) - odd * found)
    return found
