"""The worker: what a model puts in the place of Framelane's own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from ._arrays import Frame, Output, check_in_hand, claimed, store
from ._native import Relay
from ._patience import claim
from ._tally import Tally

ON_ERROR = ("raise", "forward", "give-back")


class Worker:
    """Takes frames from one ring and publishes what became of them to another.

    Start as many as you need, in as many processes: those with the same ``group`` share the
    frames, and order is restored behind them. The rings need not be there yet.

    As an iterator it gives ``(frame, out)``. The output is published when the next frame is asked
    for, and only then the input is released, so a worker that dies loses nothing: another one
    gets the frame. After a ``break``, the end of the ``with`` block gives the frame in hand back.

    :param timeout: seconds to wait for a frame, or for room for one, before ``TimeoutError``;
        None waits for ever.
    :param slots: slots of the output ring, if this worker is the one to make it.
    """

    def __init__(
        self,
        from_ring: str,
        to_ring: str,
        *,
        group: str = "worker",
        slots: int | None = None,
        timeout: float | None = None,
    ) -> None:
        self.timeout = timeout
        self._from_ring = from_ring
        self._relay = Relay(from_ring, to_ring, group, slots)
        self._frame: Frame | None = None
        self._out: Output | None = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A frame that the model can't take counts as one that kills: it must not go round for ever.
        # One that has no room for its output was never given to the model.
        if self._frame is not None and self._out is not None and isinstance(error, Exception):
            self.fail(self._frame)
        self.close()

    def __iter__(self) -> Iterator[tuple[Frame, Output]]:
        return self

    def __next__(self) -> tuple[Frame, Output]:
        if self._out is not None:
            self._publish()
        # After a time-out, the frame that had no room is still in hand.
        if self._frame is None:
            self._frame = claim(self._relay, self._from_ring, self.timeout)
        if self._frame is None:
            raise StopIteration
        room = self._relay.acquire(Output, self.timeout)
        if room is None:
            self.give_back(self._frame)
            raise StopIteration
        self._out = claimed(room, self._frame._claim)
        return self._frame, self._out

    def run(self, model: Callable[..., Any], *, on_error: str = "forward") -> Tally:
        """Processes frames until the stream ends; returns what became of them.

        ``model(frame)`` returns the output, an array of the frame's shape and dtype, or None to
        drop the frame; ``model(frame, out)`` writes it. An exception is logged with its traceback,
        and then

        - ``"forward"`` passes the frame on as it is,
        - ``"give-back"`` gives it to another worker; after three failures it is passed on (on a
          drop-oldest ring: dropped),
        - ``"raise"`` ends the loop.
        """
        check_model(model, on_error)
        tally = Tally()
        self._run(model, on_error, tally)
        return tally

    def _run(self, model: Callable[..., Any], on_error: str, tally: Tally) -> None:
        writes = _takes_output(model)
        while self._process(model, writes, on_error, tally):
            pass

    def _process(
        self, model: Callable[..., Any], writes: bool, on_error: str, tally: Tally
    ) -> bool:
        """Processes one frame; false at the end of the stream. A function of its own: arrays that
        nobody holds any more need not be taken back, which is half of what a frame costs here.
        """
        granted = next(self, None)
        if granted is None:
            return False
        frame, out = granted
        try:
            result = model(frame, out) if writes else model(frame)
            if self._frame is not frame:
                return True  # The model has ended it by itself, as with `forward`.
            if not writes and result is None:
                self.skip(frame)
                tally.note_none()
                return True
            if not writes:
                store(result, out, "the model returned")
            tally.note_output()
        except Exception as error:
            tally.note_failure(frame.seq, error)
            if on_error == "raise":
                raise
            if self._frame is frame:
                self.forward(frame) if on_error == "forward" else self.fail(frame)
        return True

    def skip(self, frame: Frame) -> None:
        """Ends the frame without an output: nobody waits for one."""
        self._in_hand(frame)
        self._end(self._relay.skip)

    def forward(self, frame: Frame) -> None:
        """Publishes the frame as it is, marked as unprocessed."""
        self._in_hand(frame)
        self._end(lambda: self._relay.forward(self.timeout))

    def give_back(self, frame: Frame) -> None:
        """Gives the frame to another worker."""
        self._in_hand(frame)
        self._end(self._relay.give_back)

    def fail(self, frame: Frame) -> None:
        """Gives the frame to another worker because this one can't process it.

        A frame that failed three times is passed on unprocessed, or dropped on a drop-oldest ring.
        """
        self._in_hand(frame)
        self._end(self._relay.fail)

    def stop(self) -> None:
        """Lets the loop end after the frame in hand. May be called from a signal handler."""
        self._relay.stop()

    def close(self) -> None:
        """Leaves both rings; a frame in hand is given back."""
        self._frame = self._out = None
        self._relay.close()

    def _in_hand(self, frame: Frame) -> None:
        check_in_hand(frame, self._frame, "worker")

    def _publish(self) -> None:
        assert self._out is not None
        meta = self._out.meta
        self._end(lambda: self._relay.publish(meta))

    def _end(self, how: Callable[[], None]) -> None:
        self._frame = self._out = None
        how()


def check_model(model: Callable[..., Any], on_error: str) -> None:
    """Refuses what can't be a model, and options that don't exist."""
    if not callable(model):
        raise TypeError(f"the model has to be callable, as model(frame); this is {model!r}")
    if on_error not in ON_ERROR:
        raise ValueError(f"on_error is {on_error!r}, not one of {', '.join(ON_ERROR)}")


def _takes_output(model: Callable[..., Any]) -> bool:
    """Whether the model is called with the frame and the room for its output."""
    try:
        parameters = inspect.signature(model).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [p for p in parameters if p.kind in positional and p.default is p.empty]
    return len(required) >= 2
