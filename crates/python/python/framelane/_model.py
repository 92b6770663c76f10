"""Models: what is called with frames, and what it makes of them."""

from __future__ import annotations

import inspect
import numbers
from collections.abc import Callable
from typing import Any

from ._arrays import Frame, Output

ON_ERROR = ("raise", "forward", "give-back")


class Model:
    """A function of one frame, or of lists of up to ``batch`` frames, and how it is called."""

    def __init__(self, function: Callable[..., Any], batch: int | None) -> None:
        self.function = function
        self.batch = batch
        #: Whether it writes its outputs into the room that it is given, instead of returning them.
        self.writes = _takes_output(function)

    @property
    def size(self) -> int:
        """How many frames it can have in hand."""
        return 1 if self.batch is None else self.batch

    def results(self, frames: list[Frame], outs: list[Output]) -> list[Any]:
        """One for each frame of a batch: an array, None to drop it, or its output itself."""
        if self.writes:
            self.function(frames, outs)
            return list(outs)
        made = self.function(frames)
        if made is None:
            return [None] * len(frames)
        if len(made) != len(frames):
            raise ValueError(f"the model returned {len(made)} outputs for {len(frames)} frames")
        return list(made)


def check_model(function: Callable[..., Any], on_error: str, batch: int | None) -> None:
    """Refuses what can't be a model, and options that don't exist."""
    if not callable(function):
        raise TypeError(f"the model has to be callable, as model(frame); this is {function!r}")
    if on_error not in ON_ERROR:
        raise ValueError(f"on_error is {on_error!r}, not one of {', '.join(ON_ERROR)}")
    if batch is not None:
        check_batch(batch)


def check_batch(size: int) -> None:
    """Refuses what can't be the size of a batch."""
    if not isinstance(size, numbers.Integral) or size < 1:
        raise ValueError(f"a batch has at least 1 frame, not {size!r}")


def _takes_output(function: Callable[..., Any]) -> bool:
    """Whether the function is called with the frames and the room for their outputs."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [p for p in parameters if p.kind in positional and p.default is p.empty]
    return len(required) >= 2
