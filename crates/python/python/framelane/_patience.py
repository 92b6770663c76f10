"""Waiting for frames: for as long as it takes, but not in silence."""

from __future__ import annotations

from typing import Protocol

from ._arrays import Frame, claimed
from ._native import Claim, TimedOut
from ._tally import log

#: Seconds without a frame after which the log says what is waited for.
_QUIET = 3.0


class _Place(Protocol):
    def claim(
        self, kind: type[Frame], timeout: float | None = None
    ) -> tuple[Claim, Frame] | None: ...


def claim(place: _Place, ring: str, timeout: float | None) -> Frame | None:
    """The next frame; None at the end of the stream."""
    try:
        granted = place.claim(Frame, _QUIET if timeout is None else timeout)
    except TimedOut:
        if timeout is not None:
            raise
        log.warning("no frame on ring '%s' for %g s: waiting (see `framelane ls`)", ring, _QUIET)
        granted = place.claim(Frame, None)
    if granted is None:
        return None
    token, frame = granted
    return claimed(frame, token)
