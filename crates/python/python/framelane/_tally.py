"""What becomes of the frames that a model is given, and what it raises on the way."""

from __future__ import annotations

import collections
import logging
import traceback

log = logging.getLogger("framelane")

#: After so many frames without a single output, a model that returns None is taken for a mistake.
_SUSPICIOUS = 25


class Tally:
    """Frames counted by what the model made of them."""

    def __init__(self, processed: int = 0, dropped: int = 0, failed: int = 0) -> None:
        #: Frames whose output was the model's.
        self.processed = processed
        #: Frames for which the model returned None.
        self.dropped = dropped
        #: Exceptions that the model raised. A frame given to another worker may fail again there.
        self.failed = failed
        self._same: collections.Counter[tuple[type, str, int | None]] = collections.Counter()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tally) and self.counts() == other.counts()

    def __repr__(self) -> str:
        return "Tally(processed={}, dropped={}, failed={})".format(*self.counts())

    def counts(self) -> tuple[int, int, int]:
        """Processed, dropped and failed."""
        return self.processed, self.dropped, self.failed

    def note_output(self) -> None:
        """The model has made an output."""
        self.processed += 1

    def note_none(self) -> None:
        """The model has returned None."""
        self.dropped += 1
        if self.dropped == _SUSPICIOUS and self.processed == 0:
            log.warning(
                "the model returned None for all of %d frames, which drops them: return the "
                "output, or take (frame, out) and write it",
                self.dropped,
            )

    def note_failure(self, seq: int, error: Exception) -> None:
        """The model has raised: logged in full the first time, and then only now and then."""
        self.failed += 1
        where = traceback.extract_tb(error.__traceback__)[-1]
        kind = (type(error), where.filename, where.lineno)
        self._same[kind] += 1
        times = self._same[kind]
        if times == 1:
            log.error("the model failed on frame %d", seq, exc_info=error)
        elif times & (times - 1) == 0:
            name = type(error).__name__
            log.error("the model failed on frame %d: %s: %s (%d times now)", seq, name, error, times)
