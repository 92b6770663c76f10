"""The worker: what a model puts in the place of Framelane's own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Literal

from ._arrays import Frame, Output, check_in_hand, store
from ._hand import Hand
from ._model import Model, check_batch, check_model
from ._native import ForkedError, FramelaneError
from ._tally import Tally

_Batches = Iterator["tuple[list[Frame], list[Output]]"]


class Worker:
    """Takes frames from one ring and publishes what became of them to another.

    Start as many as you need, in as many processes: those with the same ``group`` share the
    frames, and the pusher (or ``Source(ordered=True)``) restores the order behind them. The rings
    need not be there yet.

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
        self._closed = False

    def __enter__(self) -> Worker:
        if self._closed:
            raise FramelaneError("this worker was closed: make a new one")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A frame that the model can't take counts as one that kills: it must not go round for ever.
        # Ctrl-C is no fault of the frame's.
        if isinstance(error, (Exception, SystemExit)):
            self._fail_given()
        self.close()

    def __iter__(self) -> Iterator[tuple[Frame, Output]]:
        return self

    def __next__(self) -> tuple[Frame, Output]:
        self._publish()
        pair = self._hands[0].take(self.timeout)
        if pair is None:
            raise StopIteration
        self._hands[0].given = True
        return pair

    def batches(self, size: int) -> _Batches:
        """The loop with lists, for models that want several frames at a time.

        It gives ``(frames, outs)``: at least one frame, for which it waits, and as many more as are
        there already, up to ``size``. The outputs are published when the next batch is asked for.
        Both rings need the slots for it. A frame that somebody died or failed with comes alone, so
        that a bad one takes no others with it.
        """
        check_batch(size)
        self._make_hands(size)
        return iter(lambda: self._next_batch(size), None)

    def _next_batch(self, size: int) -> tuple[list[Frame], list[Output]] | None:
        hands = self._take(size)
        if not hands:
            return None
        return [hand.frame for hand in hands], [hand.out for hand in hands]  # type: ignore[misc]

    def _take(self, size: int) -> list[Hand]:
        """The hands with the next batch; none at the end of the stream."""
        self._publish()
        first = self._hands[0]
        if first.take(self.timeout) is None:
            return []
        hands = [first]
        for hand in self._hands[1:size]:
            if first.is_suspect() or hand.take_ready() is None:
                break
            if hand.is_suspect():
                hand.give_back()
                break
            hands.append(hand)
        for hand in hands:
            hand.given = True
        return hands

    def run(
        self,
        model: Callable[..., Any],
        *,
        on_error: Literal["raise", "forward", "give-back"] = "forward",
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
        self._make_hands(model.size)
        process = self._process_one if model.batch is None else self._process_batch
        while process(model, on_error, tally):
            pass

    # Functions of their own: arrays that nobody holds any more need not be taken back, which is half
    # of what a frame costs here. A batch of one would cost a third more than one frame.

    def _process_one(self, model: Model, on_error: str, tally: Tally) -> bool:
        """Processes one frame; false at the end of the stream."""
        granted = next(self, None)
        if granted is None:
            return False
        (frame, out), hand = granted, self._hands[0]
        try:
            result = model.function(frame, out) if model.writes else model.function(frame)
            if hand.frame is not frame:
                return True  # The model has ended it by itself, as with `forward`.
            if not model.writes and result is None:
                hand.skip()
                tally.note_none()
                return True
            if not model.writes:
                store(result, out, "the model returned")
            tally.note_output()
        except Exception as error:
            tally.note_failure(frame.seq, error)
            if on_error == "raise":
                raise
            if hand.frame is frame:
                hand.forward(self.timeout) if on_error == "forward" else hand.fail()
        return True

    def _process_batch(self, model: Model, on_error: str, tally: Tally) -> bool:
        """Processes one batch; false at the end of the stream."""
        hands = self._take(model.size)
        if not hands:
            return False
        frames, outs = [hand.frame for hand in hands], [hand.out for hand in hands]
        try:
            results = model.results(frames, outs)  # type: ignore[arg-type]
            # What the model has ended by itself is in no hand any more.
            done = [
                (hand, result)
                for hand, frame, result in zip(hands, frames, results)
                if hand.frame is frame
            ]
            for hand, result in done:
                if result is not None and result is not hand.out:
                    store(result, hand.out, "the model returned")  # type: ignore[arg-type]
            for hand, result in done:
                if result is None:
                    hand.skip()
                    tally.note_none()
                else:
                    tally.note_output()
        except Exception as error:
            tally.note_failure(frames[0].seq, error)  # type: ignore[union-attr]
            if on_error == "raise":
                raise
            # Of several, nobody knows which it was: each comes again, alone.
            forwards = on_error == "forward" and len(frames) == 1
            for hand in hands:
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
        self._closed = True
        for hand in self._hands:
            hand.close()

    def _make_hands(self, size: int) -> None:
        while len(self._hands) < size:
            self._hands.append(Hand(*self._place))

    def _fail_given(self) -> None:
        """Counts the frames that the model was given as ones that it can't take."""
        # A fork has nothing in hand, whatever it thinks.
        with contextlib.suppress(ForkedError):
            for hand in self._hands:
                if hand.given:
                    hand.fail()

    def _publish(self) -> None:
        for hand in self._hands:
            hand.finish()

    def _hand_of(self, frame: Frame) -> Hand:
        claims = ((hand, hand.frame._claim) for hand in self._hands if hand.frame is not None)
        claim = getattr(frame, "_claim", None)
        hand = next((hand for hand, held in claims if held is claim), self._hands[0])
        check_in_hand(frame, hand.frame, "worker")
        return hand
