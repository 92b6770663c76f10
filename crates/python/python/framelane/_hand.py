"""A frame in hand, and the room for what becomes of it."""

from __future__ import annotations

from collections.abc import Callable

from ._arrays import Frame, Output, claimed
from ._native import NoPlace, Relay, TimedOut
from ._patience import claim, room_for


class Hand:
    """A participant of both rings: it holds one frame at a time.

    ``frame`` is there from when it is claimed, ``out`` from when there is room for it. What was not
    ``given`` to the model is nobody's output: it goes back for another worker. What ends the claim
    on the frame drops the arrays first: those that nobody holds any more need not be taken back.
    """

    def __init__(self, from_ring: str, to_ring: str, group: str, slots: int | None) -> None:
        self.frame: Frame | None = None
        self.out: Output | None = None
        self.given = False
        self._rings = (from_ring, to_ring)
        self._relay = Relay(from_ring, to_ring, group, slots)

    def take(self, timeout: float | None) -> tuple[Frame, Output] | None:
        """Takes the next frame, and room for its output; None when there will be none."""
        # After a time-out, the frame that had no room is still in hand.
        if self.frame is None:
            self.frame = claim(self._relay, self._rings, timeout)
        if self.frame is None:
            return None
        out = room_for(self._relay, self._rings[1], timeout)
        if out is None:
            self.give_back()
            return None
        self.out = claimed(out, self.frame._claim)
        return self.frame, self.out

    def take_ready(self) -> tuple[Frame, Output] | None:
        """The same, but without waiting, and none where the rings have no place for one more."""
        try:
            return self.take(0.0)
        except NoPlace:
            return None
        except TimedOut:
            if self.frame is not None:
                self.give_back()
            return None

    def is_suspect(self) -> bool:
        """Whether somebody died or failed with the frame in hand: it may be what is wrong."""
        return self.frame is not None and self.frame.redelivered

    def publish(self) -> None:
        """Publishes the output, and then releases the frame."""
        assert self.out is not None
        meta = self.out.meta
        self._end(lambda: self._relay.publish(meta))

    def finish(self) -> None:
        """Publishes what the model was given; gives back what it never saw."""
        if self.out is not None:
            self.publish() if self.given else self.give_back()

    def skip(self) -> None:
        """Releases the frame without an output."""
        self._end(self._relay.skip)

    def forward(self, timeout: float | None) -> None:
        """Publishes the frame as it is."""
        self._end(lambda: self._relay.forward(timeout))

    def give_back(self) -> None:
        """Gives the frame to another worker."""
        self._end(self._relay.give_back)

    def fail(self) -> None:
        """The same, because it can't be processed here."""
        self._end(self._relay.fail)

    def stop(self) -> None:
        """Ends the waiting."""
        self._relay.stop()

    def close(self) -> None:
        """Leaves both rings; a frame in hand is given back."""
        self._end(self._relay.close)

    def _end(self, how: Callable[[], None]) -> None:
        self.frame, self.out, self.given = None, None, False
        how()
