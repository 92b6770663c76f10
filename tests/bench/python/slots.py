"""The best that Python's own library offers for frames: slots in `multiprocessing.shared_memory`,
handed round by two semaphores. One writer, one reader, no order to restore and nobody to survive.
"""

from __future__ import annotations

from multiprocessing import get_context
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np

SLOTS = 8


class Slots:
    """Frames of one shape, in shared memory."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        context = get_context("fork")
        self.shape = shape
        self._bytes = int(np.prod(shape))
        self._memory = SharedMemory(create=True, size=self._bytes * SLOTS)
        self._free, self._full = context.Semaphore(SLOTS), context.Semaphore(0)
        self._next = 0

    def _view(self) -> Any:
        offset = self._next % SLOTS * self._bytes
        self._next += 1
        return np.ndarray(self.shape, np.uint8, self._memory.buf, offset)

    def acquire(self) -> Any:
        """Room for a frame, as an array."""
        self._free.acquire()
        return self._view()

    def publish(self) -> None:
        self._full.release()

    def claim(self) -> Any:
        """The next frame, as an array."""
        self._full.acquire()
        return self._view()

    def release(self) -> None:
        self._free.release()

    def unlink(self) -> None:
        self._memory.close()
        self._memory.unlink()
