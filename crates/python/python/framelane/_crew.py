"""The worker processes of a run: started, watched, replaced when they die, and stopped."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from typing import Any

from ._model import Model
from ._stages import GRACE, StageFailed, die_with
from ._tally import Tally, log
from ._worker import Worker

# Seconds before a worker that died is started again.
_PAUSE = 0.5

# Workers that may be killed before any of them has done a frame.
_FALSE_STARTS = 5

# Status of a worker that ended before the stream did, without having failed.
_LEFT = 143

# As much of a traceback as fits into a pipe that nobody reads yet.
_REPORT = 3000


class ModelFailed(RuntimeError):
    """The model raised, and the run can't go on, or nothing came of it. The text is its traceback."""


class Crew:
    """The worker processes, and what they have done so far."""

    def __init__(
        self,
        context: Any,
        workers: int,
        model: Model,
        rings: tuple[str, str],
        on_error: str,
    ) -> None:
        self.restarts = 0
        job = (model, rings, on_error, workers * model.size + 2, os.getpid())
        self._raises = on_error == "raise"
        self._members = [_Member(context, job) for _ in range(workers)]

    def start(self) -> None:
        for member in self._members:
            member.start()

    def tally(self) -> Tally:
        """What became of the frames so far, over all workers, also those that died."""
        return Tally(*map(sum, zip(*(member.counts for member in self._members))))

    def first_failure(self) -> str:
        """The traceback of a failure, as short as it has to be; empty when the model never failed."""
        return next(filter(None, (member.report() for member in self._members)), "")

    def keep_up(self) -> None:
        """Replaces workers that died.

        :raises ModelFailed: when the model raised, and that is to end the run.
        :raises StageFailed: when workers die before any of them has done a frame.
        """
        for member in self._members:
            status = member.process.exitcode
            if not status:
                continue
            if self._raises and member.report():
                raise ModelFailed(member.report())
            failed = status > 0 and status != _LEFT
            if not any(self.tally().counts()) and (failed or self.restarts >= _FALSE_STARTS):
                raise StageFailed("a worker", status, _advice(status))
            log.warning("a worker died with %d: another one takes over", status)
            self.restarts += 1
            time.sleep(_PAUSE)
            member.start()

    def stop(self) -> None:
        started = [member.process for member in self._members if member.process is not None]
        for process in started:
            if process.exitcode is None:
                process.terminate()
        for process in started:
            process.join(GRACE)
            if process.exitcode is None:
                process.kill()
                process.join()


class _Member:
    """One worker process after another, each taking over from one that died."""

    def __init__(self, context: Any, job: tuple[Any, ...]) -> None:
        self._context = context
        self._job = job
        # Written by this member alone: a lock would die with its owner.
        self.counts = context.RawArray("Q", 3)
        self._reports, self._reporter = context.Pipe(duplex=False)
        self._report = ""
        self.process: Any = None

    def start(self) -> None:
        arguments = (*self._job, self.counts, self._reporter)
        # Not as a daemon: a model may have processes of its own, as torch's DataLoader does.
        process = self._context.Process(target=_work, args=arguments)
        process.start()
        self.process = process

    def report(self) -> str:
        """The first traceback of the model here."""
        if not self._report and self._reports.poll():
            self._report = self._reports.recv()
        return self._report


class _SharedTally(Tally):
    """A tally that survives its process."""

    def __init__(self, counts: Any, reporter: Any) -> None:
        super().__init__(*counts)
        self._shared = counts
        self._reporter = reporter

    def note_output(self) -> None:
        super().note_output()
        self._shared[:] = self.counts()

    def note_none(self) -> None:
        super().note_none()
        self._shared[:] = self.counts()

    def note_failure(self, seq: int, error: Exception) -> None:
        super().note_failure(seq, error)
        if self._shared[2] == 0:
            lines = traceback.format_exception(type(error), error, error.__traceback__)
            self._reporter.send(f"on frame {seq}:\n{''.join(lines)[-_REPORT:]}")
        self._shared[:] = self.counts()


def _work(
    model: Model,
    rings: tuple[str, str],
    on_error: str,
    slots: int,
    parent: int,
    counts: Any,
    reporter: Any,
) -> None:
    """What a worker process does."""
    worker, left = Worker(*rings, slots=slots), False

    def stop(*_: Any) -> None:
        nonlocal left
        left = True
        worker.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with(parent)
    with worker:
        try:
            worker._run(model, on_error, _SharedTally(counts, reporter))
        except (SystemExit, KeyboardInterrupt) as error:
            # The model's: no handler here raises them.
            traceback.print_exc()
            raise SystemExit(_status_of(error)) from error
    if left:
        sys.exit(_LEFT)


def _status_of(error: BaseException) -> int:
    """The status of a worker whose model has left. An end with 0 would be that of the stream."""
    code = getattr(error, "code", None)
    if code is None or code == 0:
        return _LEFT
    return (isinstance(code, int) and code & 0xFF) or 1


def _advice(status: int) -> list[str]:
    if status == _LEFT:
        return ["each time it was asked to stop, or the model called sys.exit, before a frame was done"]
    if status < 0:
        return [f"killed by {signal.Signals(-status).name} each time, before a frame was done"]
    return [
        "it failed before a frame was done; its traceback is above. With start_method='spawn', "
        "each worker imports the script: call run below `if __name__ == '__main__':`"
    ]
