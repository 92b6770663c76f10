"""Arrays that know how long they are valid.

A :class:`Frame` is an ordinary numpy array on shared memory, with what travels with the frame
beside it. When its claim ends, every use of it from Python raises :class:`ClaimEnded`. Whatever
else holds it and has taken its address (OpenCV, torch, a memoryview) then sees zeroes: never
another frame, and never a crash.
"""

from __future__ import annotations

import functools
from typing import Any, TypeVar

import numpy as np

from ._native import Claim, FramelaneError

# Methods that read or write the elements without asking `__array_ufunc__`.
_ELEMENT_METHODS = (
    "argmax argmin argpartition argsort astype byteswap choose clip compress copy diagonal dot "
    "dump dumps fill flatten getfield item itemset nonzero partition put ravel repeat reshape resize "
    "round searchsorted setfield sort squeeze swapaxes take tobytes tofile tolist trace transpose view"
).split()


class ClaimedArray(np.ndarray):
    """An array on shared memory, valid until its claim ends."""

    _claim: Claim | None
    #: Whether the memory is the slot's, and not that of a copy.
    _borrowed: bool

    def __array_finalize__(self, parent: Any) -> None:
        self._claim = getattr(parent, "_claim", None)
        # A copy has memory of its own, which stays, and so have the parts of a copy.
        self._borrowed = getattr(parent, "_borrowed", False) and _lies_on_slot(self.base)

    def _check(self) -> None:
        if self._borrowed:
            self._claim.check()  # type: ignore[union-attr]

    def _plain(self) -> np.ndarray:
        self._check()
        return np.ndarray.view(self, np.ndarray)

    def __getitem__(self, key: Any) -> Any:
        self._check()
        return np.ndarray.__getitem__(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._check()
        np.ndarray.__setitem__(self, key, _plain(value))

    def __iter__(self) -> Any:
        return iter(self._plain())

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        outputs = kwargs.get("out")
        if outputs:
            kwargs["out"] = tuple(_plain(output) for output in outputs)
        if "where" in kwargs:
            kwargs["where"] = _plain(kwargs["where"])
        result = getattr(ufunc, method)(*(_plain(value) for value in inputs), **kwargs)
        if outputs:
            return outputs[0] if len(outputs) == 1 else outputs
        return result

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        for value in (*args, *kwargs.values()):
            for element in value if isinstance(value, (list, tuple)) else (value,):
                if isinstance(element, ClaimedArray):
                    element._check()
        return super().__array_function__(func, types, args, kwargs)

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return self._plain().__array_interface__

    @property
    def flat(self) -> Any:
        return self._plain().flat

    @property
    def data(self) -> Any:
        return self._plain().data

    def __copy__(self) -> Any:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any] | None) -> Any:
        return self.copy()

    def __dlpack__(self, *args: Any, **kwargs: Any) -> Any:
        return self._plain().__dlpack__(*args, **kwargs)

    # Older numpys only warn of an error within a comparison.
    def __eq__(self, other: Any) -> Any:
        return self._plain() == _plain(other)

    def __ne__(self, other: Any) -> Any:
        return self._plain() != _plain(other)

    __hash__ = None

    def __repr__(self) -> str:
        try:
            return repr(self._plain())
        except FramelaneError as error:
            return f"<{type(self).__name__}: {error}>"

    def __reduce__(self) -> Any:
        """Other processes get a copy."""
        return np.array(self._plain()).__reduce__()


def _lies_on_slot(base: Any) -> bool:
    """Whether an array with this base shows a slot, and not a copy: an index of numbers makes one, on
    a plain array."""
    while base is not None and not isinstance(base, ClaimedArray):
        base = getattr(base, "base", None)
    return base is not None


_Array = TypeVar("_Array", bound=ClaimedArray)


def _plain(value: Any) -> Any:
    return value._plain() if isinstance(value, ClaimedArray) else value


def _checked(name: str) -> Any:
    method = getattr(np.ndarray, name)

    @functools.wraps(method)
    def call(self: ClaimedArray, *args: Any, **kwargs: Any) -> Any:
        self._check()
        return method(self, *args, **kwargs)

    return call


for _name in _ELEMENT_METHODS:
    if hasattr(np.ndarray, _name):
        setattr(ClaimedArray, _name, _checked(_name))


class Frame(ClaimedArray):
    """A frame in hand: a read-only array, and what travels with it."""

    _claim: Claim

    @property
    def array(self) -> Frame:
        """The pixels: the frame itself, for symmetry with what is beside them."""
        self._check()
        return self

    @property
    def seq(self) -> int:
        """The source's number of the frame."""
        return self._claim.seq

    @property
    def pts(self) -> float:
        """Presentation time on the source's timeline, in seconds."""
        return self._claim.pts_ns / 1e9

    @property
    def pts_ns(self) -> int:
        """Presentation time on the source's timeline, in nanoseconds."""
        return self._claim.pts_ns

    @property
    def age(self) -> float | None:
        """Seconds since the frame's first byte arrived; None when that is unknown."""
        return self._claim.age

    @property
    def epoch(self) -> int:
        """It grows when the source reconnects or changes its format."""
        return self._claim.epoch

    @property
    def discontinuity(self) -> bool:
        """Whether the source's own clock jumped before this frame."""
        return self._claim.discontinuity

    @property
    def unprocessed(self) -> bool:
        """Whether a worker before passed the frame on without processing it."""
        return self._claim.unprocessed

    @property
    def redelivered(self) -> bool:
        """Whether somebody claimed the frame before and did not finish it."""
        return self._claim.redelivered

    @property
    def pix_fmt(self) -> str | None:
        """How the pixels lie in memory, in ffmpeg's words; None when it is no picture."""
        return self._claim.pix_fmt

    @property
    def width(self) -> int | None:
        """Width of the picture in pixels, also where the array has another shape (yuv420p)."""
        return self._claim.width

    @property
    def height(self) -> int | None:
        """Height of the picture in pixels, also where the array has another shape (yuv420p)."""
        return self._claim.height

    @property
    def meta(self) -> bytes:
        """The metadata that travels with the frame."""
        return self._claim.meta


class Output(ClaimedArray):
    """Room for what becomes of a frame: a writable array."""

    _meta: bytes | None = None

    @property
    def meta(self) -> bytes | None:
        """Metadata that travels with the output; the frame's own if it stays None."""
        return self._meta

    @meta.setter
    def meta(self, meta: bytes | bytearray | memoryview | None) -> None:
        assert self._claim is not None
        self._meta = as_meta(meta, self._claim)


def claimed(array: _Array, claim: Claim) -> _Array:
    """The array of a slot that was just granted, which is valid as long as the claim is."""
    array._claim = claim
    array._borrowed = True
    return array


def as_meta(meta: Any, claim: Claim) -> bytes | None:
    """Metadata as bytes. Refuses what only looks like bytes, and what is more than can travel."""
    if not isinstance(meta, (bytes, bytearray, memoryview, type(None))):
        kind = type(meta).__name__
        raise TypeError(f"metadata is bytes, not {kind}: encode it, as with json.dumps(..).encode()")
    if meta is None:
        return None
    carried, most = bytes(meta), claim.meta_capacity
    if len(carried) > most:
        raise ValueError(f"{most} bytes of metadata travel with a frame, not {len(carried)}")
    return carried


def store(values: Any, room: np.ndarray, who: str) -> None:
    """Copies pixels. Only bytes are pixels: floats from 0 to 1 would be black.

    :param who: the start of an error's sentence, as "the model returned".
    """
    pixels = np.asarray(_plain(values))
    if pixels.dtype != room.dtype:
        raise TypeError(
            f"{who} {pixels.dtype}: pixels are {room.dtype}, from 0 to 255 (convert with "
            f".astype(np.{room.dtype}))"
        )
    if pixels.shape != room.shape:
        raise ValueError(
            f"{who} an array of shape {pixels.shape}: the frame's is {room.shape}"
        )
    room[...] = pixels


def check_in_hand(frame: Any, in_hand: Frame | None, whose: str) -> None:
    """Refuses everything but the very frame that was taken last."""
    if frame is in_hand and frame is not None:
        return
    if isinstance(frame, Frame) and frame._borrowed:
        frame._check()
        if in_hand is None or frame._claim is not in_hand._claim:
            raise ValueError(f"frame {frame.seq} is not in hand of this {whose}")
    raise TypeError(
        f"this wants the frame itself, as it came from the {whose}, not a copy or a part of it: "
        "the frame goes on as it came. What you changed goes into the output"
    )
