"""Presentation times of the frames that a process makes itself."""

from __future__ import annotations

import fractions
import math
import numbers
import time
from typing import Union

#: Frames a second: a number, or a numerator and a denominator.
Rate = Union[float, "tuple[int, int]", fractions.Fraction]

# Nanoseconds of a signed 64-bit integer.
_LARGEST = 2**63 - 1


class Clock:
    """Tells when each frame is shown, in nanoseconds; the times only rise.

    :param last: when the last frame of an earlier source is shown, and its age, in nanoseconds.
    :param interval_ns: from one frame to the next; None for the time that has passed since the last
        frame that was given a time, or since the first.
    """

    def __init__(self, last: tuple[int, int] | None, interval_ns: int | None) -> None:
        self._last: int | None
        self._last, age = last or (None, 0)
        self._interval_ns = interval_ns
        self._was_given = False
        now = time.monotonic_ns()
        self._zero = None if self._last is None else now - self._last - age

    def place(self, pts: float | None) -> int:
        """When the next frame is shown: at ``pts`` seconds, if that is given."""
        self._was_given = pts is not None
        if pts is None:
            return self._next()
        if not isinstance(pts, numbers.Real) or isinstance(pts, bool):
            raise TypeError(f"pts is a number of seconds, not {pts!r}")
        if not math.isfinite(pts) or abs(pts) * 1e9 > _LARGEST:
            raise ValueError(f"pts is {pts}: that is no time")
        place = round(float(pts) * 1e9)
        if self._last is not None and place <= self._last:
            raise ValueError(
                f"pts is {pts}, and the last frame's was {self._last / 1e9}: times have to rise"
            )
        return place

    def note(self, place: int) -> None:
        """A frame that is shown at this time was published."""
        self._last = place
        if self._was_given:
            # What comes next without a time comes that much later.
            self._zero = time.monotonic_ns() - place

    def _next(self) -> int:
        if self._interval_ns is not None:
            return 0 if self._last is None else self._last + self._interval_ns
        now = time.monotonic_ns()
        if self._zero is None:
            self._zero = now
        return now - self._zero if self._last is None else max(now - self._zero, self._last + 1)


def as_rate(fps: Rate) -> tuple[int, int]:
    """A rate as numerator and denominator; 29.97 as it is, 30000 / 1001 as NTSC has it."""
    try:
        rate = fractions.Fraction(*fps) if isinstance(fps, tuple) else fractions.Fraction(fps)
        # A float of 30000 / 1001 is not quite that.
        rate = rate.limit_denominator(1001) if isinstance(fps, float) else rate
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        raise ValueError(f"fps is {fps!r}: use a number, or (30000, 1001)") from None
    if not 0 < rate <= 1000 or max(rate.numerator, rate.denominator) >= 2**32:
        raise ValueError(f"fps is {fps!r}: that is no frame rate")
    return rate.numerator, rate.denominator
