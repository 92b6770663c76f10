"""Waiting for frames: for as long as it takes, but not in silence."""

from __future__ import annotations

from typing import Any, Protocol

from ._tally import log

#: Seconds without a frame after which the log says what is waited for.
_QUIET = 3.0


class _Place(Protocol):
    def claim(self, timeout: float | None = None) -> tuple[Any, Any] | None: ...


def claim(place: _Place, ring: str, timeout: float | None) -> tuple[Any, Any] | None:
    """The next frame and its array; None at the end of the stream."""
    if timeout is not None:
        return place.claim(timeout)
    try:
        return place.claim(_QUIET)
    except TimeoutError:
        log.warning("no frame on ring '%s' for %g s: waiting (see `framelane ls`)", ring, _QUIET)
        return place.claim(None)
