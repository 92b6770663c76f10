"""The worker: what a model puts in the place of Framelane's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from ._arrays import Frame, Output, check_in_hand, store
from ._hand import Hand
from ._model import Model, check_batch, check_model
from ._tally import Tally

_Batches = Iterator["tuple[list[Frame], list[Output]]"]


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
        self._place = (from_ring, to_ring, group, slots)
        self._hands = [Hand(*self._place)]

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
        for hand in self._hands:
            if hand.out is not None and isinstance(error, Exception):
                hand.fail()
        self.close()

    def __iter__(self) -> Iterator[tuple[Frame, Output]]:
        return self

    def __next__(self) -> tuple[Frame, Output]:
        self._publish()
        pair = self._hands[0].take(self.timeout)
        if pair is None:
            raise StopIteration
        return pair

    def batches(self, size: int) -> _Batches:
        """The loop with lists, for models that want several frames at a time.

        It gives ``(frames, outs)``: at least one frame, for which it waits, and as many more as are
        there already, up to ``size``. The outputs are published when the next batch is asked for.
        Both rings need the slots for it. A frame that somebody died or failed with comes alone, so
        that a bad one takes no others with it.
        """
        check_batch(size)
        while len(self._hands) < size:
            self._hands.append(Hand(*self._place))
        return iter(lambda: self._next_batch(size), None)

    def _next_batch(self, size: int) -> tuple[list[Frame], list[Output]] | None:
        """The next batch; None at the end of the stream."""
        self._publish()
        first, *others = self._hands[:size]
        pair = first.take(self.timeout)
        if pair is None:
            return None
        pairs = [pair]
        for hand in others:
            pair = None if pairs[0][0].redelivered else hand.take_ready()
            if pair is None:
                break
            if pair[0].redelivered:
                hand.give_back()
                break
            pairs.append(pair)
        frames, outs = zip(*pairs)
        return list(frames), list(outs)

    def run(
        self,
        model: Callable[..., Any],
        *,
        on_error: str = "forward",
        batch: int | None = None,
    ) -> Tally:
        """Processes frames until the stream ends; returns what became of them.

        ``model(frame)`` returns the output, an array of the frame's shape and dtype, or None to
        drop the frame; ``model(frame, out)`` writes it. An exception is logged with its traceback,
        and then

        - ``"forward"`` passes the frame on as it is,
        - ``"give-back"`` gives it to another worker; after three failures it is passed on (on a
          drop-oldest ring: dropped),
        - ``"raise"`` ends the loop.

        :param batch: the model takes lists of up to so many frames, as :meth:`batches` gives them:
            ``model(frames)`` returns as many outputs, ``model(frames, outs)`` writes them. When it
            fails on several, each of them comes once more, alone.
        """
        check_model(model, on_error, batch)
        tally = Tally()
        self._run(Model(model, batch), on_error, tally)
        return tally

    def _run(self, model: Model, on_error: str, tally: Tally) -> None:
        batches = self.batches(model.size)
        while self._process(batches, model, on_error, tally):
            pass

    def _process(self, batches: _Batches, model: Model, on_error: str, tally: Tally) -> bool:
        """Processes one batch; false at the end of the stream. A function of its own: arrays that
        nobody holds any more need not be taken back, which is half of what a frame costs here.
        """
        taken = next(batches, None)
        if taken is None:
            return False
        frames, outs = taken
        try:
            made = zip(self._hands, frames, outs, model(frames, outs))
            # What the model has ended by itself, as with `forward`, is in no hand any more.
            mine = [(hand, out, result) for hand, frame, out, result in made if hand.frame is frame]
            for _, out, result in mine:
                if result is not None and result is not out:
                    store(result, out, "the model returned")
            for hand, _, result in mine:
                if result is None:
                    hand.skip()
                    tally.note_none()
                else:
                    tally.note_output()
        except Exception as error:
            tally.note_failure(frames[0].seq, error)
            if on_error == "raise":
                raise
            # Of several, nobody knows which it was: each comes again, alone.
            forwards = on_error == "forward" and len(frames) == 1
            for hand in self._hands:
                if hand.frame is not None:
                    hand.forward(self.timeout) if forwards else hand.fail()
        return True

    def skip(self, frame: Frame) -> None:
        """Ends the frame without an output: nobody waits for one."""
        self._hand_of(frame).skip()

    def forward(self, frame: Frame) -> None:
        """Publishes the frame as it is, marked as unprocessed."""
        self._hand_of(frame).forward(self.timeout)

    def give_back(self, frame: Frame) -> None:
        """Gives the frame to another worker."""
        self._hand_of(frame).give_back()

    def fail(self, frame: Frame) -> None:
        """Gives the frame to another worker because this one can't process it.

        A frame that failed three times is passed on unprocessed, or dropped on a drop-oldest ring.
        """
        self._hand_of(frame).fail()

    def stop(self) -> None:
        """Lets the loop end after the frame in hand. May be called from a signal handler."""
        for hand in self._hands:
            hand.stop()

    def close(self) -> None:
        """Leaves both rings; a frame in hand is given back."""
        for hand in self._hands:
            hand.close()

    def _publish(self) -> None:
        for hand in self._hands:
            if hand.out is not None:
                hand.publish()

    def _hand_of(self, frame: Frame) -> Hand:
        claims = ((hand, hand.frame._claim) for hand in self._hands if hand.frame is not None)
        claim = getattr(frame, "_claim", None)
        hand = next((hand for hand, held in claims if held is claim), self._hands[0])
        check_in_hand(frame, hand.frame, "worker")
        return hand
