"""The whole chain in one call: puller, workers and pusher, started and cleaned up after."""

from __future__ import annotations

import dataclasses
import itertools
import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

from ._stages import GRACE, Stage, StageFailed, find_program
from ._worker import ON_ERROR, Worker, log

__all__ = ["StageFailed", "Summary", "run"]

_NUMBERS = itertools.count()

# Seconds between looks at the stages.
_LOOK = 0.05

# Seconds before a worker that died is started again.
_PAUSE = 0.5


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a run has done."""

    #: Frames that the model took.
    processed: int
    #: Workers that died and were started again.
    restarts: int


def run(
    model: Callable[..., Any],
    source: str,
    target: str,
    *,
    workers: int = 2,
    on_error: str = "forward",
    puller_args: Sequence[str] = (),
    pusher_args: Sequence[str] = (),
    start_method: str = "fork",
) -> Summary:
    """Pulls ``source``, lets ``model`` process each frame, and pushes the result to ``target``.

    Both are URLs or files. Audio goes around the model and stays in sync. Returns when the source
    has ended, which a live one never does; Ctrl-C stops everything. A worker that dies is started
    again, and its frame goes to another one.

    :param model: ``model(frame)`` returns the output as an array, or ``model(frame, out)`` writes
        it; see :meth:`Worker.run`, also for ``on_error``.
    :param workers: processes that run the model side by side.
    :param puller_args: more arguments for the puller, such as ``["--size", "640x360"]``.
    :param pusher_args: more arguments for the pusher, such as ``["--bitrate", "4M"]``.
    :param start_method: how the workers come to be: ``"fork"`` copies this process, the model
        included; ``"spawn"`` starts afresh and imports it, which models on a GPU need.
    :raises StageFailed: when the puller or the pusher gives up.
    """
    if workers < 1:
        raise ValueError(f"{workers} workers process nothing: use at least 1")
    if on_error not in ON_ERROR:
        raise ValueError(f"on_error is {on_error!r}, not one of {', '.join(ON_ERROR)}")
    name = f"run-{os.getpid()}-{next(_NUMBERS)}"
    context = multiprocessing.get_context(start_method)
    crew = _Crew(context, workers, model, (f"{name}.in", f"{name}.out"), on_error)
    stages: list[Stage] = []
    try:
        # Before any thread is started here, so that the forks are clean.
        crew.start()
        stages.append(
            Stage("pusher", ["--ring", f"{name}.out", "--output", target, *pusher_args])
        )
        stages.append(Stage("puller", ["--input", source, "--ring", f"{name}.in", *puller_args]))
        while not all([stage.is_over() for stage in stages]):
            crew.keep_up(restart=not stages[1].is_over())
            time.sleep(_LOOK)
    finally:
        _clean_up(stages, crew, name)
    return Summary(processed=crew.processed.value, restarts=crew.restarts)


class _Crew:
    """The worker processes."""

    def __init__(
        self,
        context: Any,
        workers: int,
        model: Callable[..., Any],
        rings: tuple[str, str],
        on_error: str,
    ) -> None:
        self._context = context
        self._slots = workers + 2
        self.processed = context.Value("Q", 0)
        self._arguments = (model, rings, on_error, self._slots, self.processed, os.getpid())
        self._members: list[Any] = [None] * workers
        self.restarts = 0

    def start(self) -> None:
        self._members = [self._hire() for _ in self._members]

    def _hire(self) -> Any:
        member = self._context.Process(target=_work, args=self._arguments, daemon=True)
        member.start()
        return member

    def keep_up(self, *, restart: bool) -> None:
        """Replaces workers that died, for as long as there is work for them."""
        for index, member in enumerate(self._members):
            if member.exitcode and restart:
                log.warning("a worker died with %d: another one takes over", member.exitcode)
                self.restarts += 1
                time.sleep(_PAUSE)
                self._members[index] = self._hire()

    def stop(self) -> None:
        for member in self._members:
            if member is not None and member.exitcode is None:
                member.terminate()
        for member in self._members:
            if member is not None:
                member.join(GRACE)
                if member.exitcode is None:
                    member.kill()
                    member.join()


def _work(
    model: Callable[..., Any],
    rings: tuple[str, str],
    on_error: str,
    slots: int,
    processed: Any,
    parent: int,
) -> None:
    """What a worker process does."""
    from ._stages import _die_with

    worker = Worker(*rings, slots=slots)
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with(parent)
    with worker:
        count = worker.run(model, on_error=on_error)
    with processed.get_lock():
        processed.value += count


def _clean_up(stages: list[Stage], crew: _Crew, name: str) -> None:
    # The puller first, so that what is in the rings still comes out.
    for stage in reversed(stages):
        stage.terminate()
        stage.wait()
    crew.stop()
    rings = [f"{name}.{part}" for part in ("in", "out", "audio")]
    subprocess.run([find_program("framelane"), "gc", *rings], capture_output=True, check=False)
