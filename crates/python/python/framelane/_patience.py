"""Waiting for frames and for room: for as long as it takes, but not in silence."""

from __future__ import annotations

from typing import Protocol

from ._arrays import Frame, Output, claimed
from ._native import Claim, Relay, TimedOut, Writer
from ._tally import log

#: Seconds after which the log says what is waited for.
_QUIET = 3.0


class _Place(Protocol):
    def claim(
        self, kind: type[Frame], timeout: float | None = None
    ) -> tuple[Claim, Frame] | None: ...


def claim(place: _Place, rings: tuple[str, ...], timeout: float | None) -> Frame | None:
    """The next frame of the first of the rings; None at the end of the stream."""
    try:
        granted = place.claim(Frame, _QUIET if timeout is None else timeout)
    except TimedOut:
        if timeout is not None:
            raise
        ring, *outputs = rings
        reader = f"; a lossless one gives none before '{outputs[0]}' is read" if outputs else ""
        log.warning(
            "no frame on ring '%s' for %g s: waiting (see `framelane ls`%s)", ring, _QUIET, reader
        )
        granted = place.claim(Frame, None)
    if granted is None:
        return None
    token, frame = granted
    return claimed(frame, token)


def room_for(relay: Relay, ring: str, timeout: float | None) -> Output | None:
    """Room on a ring for the output of the frame in hand; None when asked to stop."""
    try:
        return relay.acquire(Output, _QUIET if timeout is None else timeout)
    except TimedOut:
        if timeout is not None:
            raise
        log.warning("no room on ring '%s' for %g s: waiting for its readers", ring, _QUIET)
        return relay.acquire(Output, None)


def own_room(writer: Writer, ring: str, timeout: float | None) -> tuple[Claim, Output] | None:
    """Room on a ring for a frame that this process makes itself; None when asked to stop."""
    try:
        return writer.acquire(Output, _QUIET if timeout is None else timeout)
    except TimedOut as error:
        if timeout is not None:
            raise
        log.warning("%s: waiting for the readers of ring '%s'", error, ring)
        return writer.acquire(Output, None)
