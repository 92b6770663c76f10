"""The parts a worker is made of: sources to take frames from, and sinks to put frames into."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Literal

from ._arrays import Frame, Output, as_meta, check_in_hand, claimed, store
from ._clock import Clock, Rate, as_rate
from ._native import Claim, FramelaneError, Reader, Relay, Writer
from ._patience import claim, own_room, room_for


#: The dimensions of frames that a process makes itself, by their pixel format.
_DIMENSIONS = {"rgb24": 3, "bgr24": 3, "gray": 2}


class Source:
    """Yields the frames of a ring.

    Members of the same ``group`` share the frames; each group sees every frame. A frame is in hand
    until the next one is asked for. Frames come as they are ready: behind several workers, that is not
    in order.

    On a ring that loses nothing, frames wait for a group even when its last reader has left, until
    ``framelane forget RING GROUP``.

    :param ordered: yields every frame in order; the group has one member then.
    :param newest: yields the newest frame, each once and without taking it from anybody, in no group.
        What is in hand keeps its slot: copy what takes long to look at, and `release` it.
    :param max_age: seconds; older frames are dropped and counted instead of being yielded.
    :param timeout: seconds to wait for a frame before ``TimeoutError``; None waits for ever.
    """

    def __init__(
        self,
        ring: str,
        *,
        group: str = "reader",
        ordered: bool = False,
        newest: bool = False,
        max_age: float | None = None,
        timeout: float | None = None,
    ) -> None:
        self.timeout = timeout
        self._rings: tuple[str, ...] = (ring,)
        self._may_feed = not (ordered or newest)
        self._group = group
        self._max_age = max_age
        self._place: Reader | Relay = Reader(ring, group, max_age, ordered, newest)
        self._frame: Frame | None = None
        # Whether the output of the frame in hand finds no room, which is no fault of the frame.
        self._lacks_room = False
        self._started = False
        self._closed = False

    def __enter__(self) -> Source:
        if self._closed:
            raise FramelaneError("this source was closed: make a new one")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        is_fault = isinstance(error, (Exception, SystemExit)) and not self._lacks_room
        if self._frame is not None and is_fault:
            self._end(self._place.fail)
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        if self._frame is not None:
            self._release()
        self._started = True
        self._frame = claim(self._place, self._rings, self.timeout)
        if self._frame is None:
            raise StopIteration
        return self._frame

    def release(self, frame: Frame) -> None:
        """Ends the claim on the frame in hand, before the next one is asked for."""
        self._in_hand(frame)
        self._release()

    def give_back(self, frame: Frame) -> None:
        """Gives the frame in hand to another member of the group."""
        self._in_hand(frame)
        self._end(self._place.give_back)

    def stop(self) -> None:
        """Lets the iteration end. May be called from a signal handler."""
        self._place.stop()

    def close(self) -> None:
        """Leaves the ring; a frame in hand is given back."""
        self._closed = True
        self._frame = None
        self._place.close()

    def _feed(self, ring: str, slots: int | None) -> Relay:
        """Makes this the source of a sink: both have to join as one."""
        if self._started or isinstance(self._place, Relay):
            raise FramelaneError(
                f"'{self._rings[0]}' is read already: make its one sink before taking the first frame"
            )
        if self._max_age is not None or not self._may_feed:
            raise ValueError("a source with max_age, ordered or newest can't feed a sink: use Worker")
        self._place = Relay(self._rings[0], ring, self._group, slots)
        self._rings += (ring,)
        return self._place

    def _in_hand(self, frame: Frame) -> None:
        check_in_hand(frame, self._frame, "source")

    def _release(self) -> None:
        place = self._place
        self._end(place.skip if isinstance(place, Relay) else place.release)

    def _end(self, how: Any) -> None:
        # First: an array that nobody holds any more need not be taken back.
        self._frame, self._lacks_room = None, False
        how()


class _Room:
    """A slot that was acquired, and what is to travel with the pixels."""

    def __init__(self, claim: Claim, pixels: Output) -> None:
        self.claim = claim
        self.meta: bytes | None = None
        self._pixels: Output | None = pixels

    def take_pixels(self) -> Output:
        """The array, which is not kept: what nobody holds need not be taken back."""
        pixels, self._pixels = self._pixels, None
        assert pixels is not None
        return pixels


class Sink:
    """Publishes frames to a ring.

    :param like: a :class:`Source`, whose frames are passed on under their own seq; or the shape of
        the frames that this process makes itself, as an array or as ``(height, width, 3)``. A sink
        of its own frames makes the ring, numbers them, and ends the stream when it is closed. An
        exception that leaves its ``with`` block does not end the stream: a successor goes on.
    :param pix_fmt: of frames of its own: rgb24, bgr24 or gray.
    :param on_full: of a ring of its own: ``"block"`` waits, ``"drop-oldest"`` overwrites.
    :param fps: of frames of its own, a number or ``(30000, 1001)``. With ``"block"`` they are shown at
        this rate unless they have a ``pts``; with ``"drop-oldest"`` it is a hint for encoders.
    :param slots: of a ring of its own, 8 unless it is told otherwise; or of the output ring.
    """

    def __init__(
        self,
        ring: str,
        *,
        like: Any,
        slots: int | None = None,
        pix_fmt: Literal["rgb24", "bgr24", "gray"] | None = None,
        on_full: Literal["block", "drop-oldest"] = "block",
        fps: Rate | None = None,
        timeout: float | None = None,
    ) -> None:
        self.timeout = timeout
        self._source = like if isinstance(like, Source) else None
        self._ring = ring
        self._open = False
        if self._source is not None:
            self._place: Relay | Writer = self._source._feed(ring, slots)
            return
        try:
            shape = tuple(int(side) for side in getattr(like, "shape", like))
        except (TypeError, ValueError):
            raise TypeError(f"like is a Source, an array or a shape, not {like!r}") from None
        if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] != 3):
            raise ValueError(f"frames are (height, width, 3) or (height, width), not {shape}")
        pix_fmt = pix_fmt or ("rgb24" if len(shape) == 3 else "gray")
        if _DIMENSIONS.get(pix_fmt) != len(shape):
            fitting = [name for name, count in _DIMENSIONS.items() if count == len(shape)]
            raise ValueError(f"frames of shape {shape} are {' or '.join(fitting)}, not {pix_fmt}")
        slots = 8 if slots is None else slots
        if min(slots, *shape) < 1:
            raise ValueError(f"a ring of {slots} slots for frames of shape {shape} can't be made")
        rate = None if fps is None else as_rate(fps)
        self._place = Writer(ring, shape[1], shape[0], pix_fmt, slots, on_full, rate)
        counted = rate is not None and on_full == "block"
        interval_ns = round(1e9 * rate[1] / rate[0]) if counted else None  # type: ignore[index]
        self._clock = Clock(self._place.last_frame(), interval_ns)

    def __enter__(self) -> Sink:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(end=error is None)

    @contextlib.contextmanager
    def frame(self, *, seq: int | None = None, pts: float | None = None) -> Iterator[Output]:
        """Room for one frame, which is published at the end of the ``with`` block.

        :param seq: the source's frame that this becomes; it has to be in hand, and is released once
            its output is published. A sink of its own frames numbers them itself.
        :param pts: presentation time in seconds, which has to rise; that of the source's frame, or
            as ``fps`` says, or as much later than the last one with a ``pts``, or than the first, as
            time has passed, when it is None.
        """
        with self._room(seq, pts) as room:
            out = claimed(room.take_pixels(), room.claim)
            yield out
            room.meta = out.meta

    def write(
        self,
        pixels: Any,
        *,
        seq: int | None = None,
        pts: float | None = None,
        meta: bytes | bytearray | memoryview | None = None,
    ) -> None:
        """Publishes a copy of an array, of the shape and dtype of the sink's frames.

        :param seq: as for :meth:`frame`, like ``pts``.
        :param meta: metadata that travels with the frame.
        """
        with self._room(seq, pts) as room:
            store(pixels, room.take_pixels(), "the sink was given")
            room.meta = as_meta(meta, room.claim)

    @contextlib.contextmanager
    def _room(self, seq: int | None, pts: float | None) -> Iterator[_Room]:
        """Room for one frame, which is published when the block ends well."""
        if self._open:
            raise FramelaneError("the last frame is still open: leave its `with` block first")
        self._open = True
        try:
            if self._source is None:
                with self._own_room(seq, pts) as room:
                    yield room
            else:
                with self._passed_on(self._source, seq, pts) as room:
                    yield room
        finally:
            self._open = False

    @contextlib.contextmanager
    def _passed_on(
        self, source: Source, seq: int | None, pts: float | None
    ) -> Iterator[_Room]:
        frame, relay = source._frame, self._place
        assert isinstance(relay, Relay)
        if frame is None:
            raise FramelaneError("no frame is in hand: take one from the source first")
        if seq is not None and seq != frame.seq:
            raise FramelaneError(
                f"frame {seq} is not in hand but {frame.seq}: publish a frame's output before the "
                "source is asked for the next one"
            )
        # Seconds are floats: those of a long stream are not as fine as its nanoseconds.
        if pts not in (None, frame.pts) and round(pts * 1e9) != frame.pts_ns:
            raise ValueError(f"frame {frame.seq} is shown at {frame.pts} s: its output is, too")
        source._lacks_room = True
        pixels = room_for(relay, source._rings[1], self.timeout)
        if pixels is None:
            raise FramelaneError(f"asked to stop while the output of frame {frame.seq} had no room")
        source._lacks_room = False
        room = _Room(frame._claim, pixels)
        yield room
        if source._frame is not frame:
            raise FramelaneError(f"frame {frame.seq} was released before its output was published")
        source._end(lambda: relay.publish(room.meta))

    @contextlib.contextmanager
    def _own_room(self, seq: int | None, pts: float | None) -> Iterator[_Room]:
        writer = self._place
        assert isinstance(writer, Writer)
        if seq is not None:
            raise ValueError("a sink of its own frames numbers them itself: leave seq out")
        place = self._clock.place(pts)
        granted = own_room(writer, self._ring, self.timeout)
        if granted is None:
            raise FramelaneError(f"asked to stop while ring '{self._ring}' had no room")
        room = _Room(*granted)
        try:
            yield room
        except BaseException:
            writer.abort()
            raise
        writer.publish(place, room.meta)
        self._clock.note(place)

    def stop(self) -> None:
        """Lets a wait for room end, with an error. May be called from a signal handler."""
        self._place.stop()

    def close(self, *, end: bool = True) -> None:
        """Leaves the ring. A stream of its own frames ends with it, unless ``end`` is False."""
        if isinstance(self._place, Writer):
            self._place.close(end)
        elif self._source is not None:
            self._source.close()
