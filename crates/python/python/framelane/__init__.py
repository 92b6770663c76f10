"""Live video frames as numpy arrays in shared memory.

A model takes the place of Framelane's worker in ten lines::

    import framelane as fl

    with fl.Worker("cam1.in", "cam1.out", group="yolo") as worker:
        for frame, out in worker:
            out[:] = model(frame)

``frame`` and ``out`` are views of shared memory, height x width x 3, uint8. ``frame`` is
read-only. Both are valid until the loop asks for the next frame: copy what you keep.

To replace a whole script, ``fl.run(model, "rtmp://host/live/in", "rtmp://host/live/out")`` starts
everything else, too.
"""

from ._arrays import Frame, Output
from ._native import ClaimEnded, ForkedError, FramelaneError, NoPlace, TimedOut
from ._native import version as _version
from ._rings import Sink, Source
from ._run import ModelFailed, StageFailed, Summary, run
from ._tally import Tally
from ._worker import Worker

__version__ = _version()

__all__ = [
    "ClaimEnded",
    "ForkedError",
    "Frame",
    "FramelaneError",
    "ModelFailed",
    "NoPlace",
    "Output",
    "Sink",
    "Source",
    "StageFailed",
    "Summary",
    "Tally",
    "TimedOut",
    "Worker",
    "run",
]
