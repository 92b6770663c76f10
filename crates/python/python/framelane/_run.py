"""The whole chain in one call: puller, workers and pusher, started and cleaned up after."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import multiprocessing
import os
import pathlib
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from ._crew import Crew, ModelFailed
from ._model import Model, check_model
from ._stages import Stage, StageFailed, find_program
from ._tally import log

__all__ = ["ModelFailed", "StageFailed", "Summary", "run"]

_NUMBERS = itertools.count()

# A puller's slots, unless it is told otherwise.
_USUAL_SLOTS = 8

# How many frames can be in hand at once: a ring has 55 places, some of which are the stages' and
# the tools'.
_PLACES = 50

# Seconds between looks at the stages.
_LOOK = 0.05


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a run has done."""

    #: Frames whose output was the model's.
    processed: int
    #: Frames for which the model returned None.
    dropped: int
    #: Exceptions that the model raised.
    failed: int
    #: Workers that died and were started again.
    restarts: int


def run(
    model: Callable[..., Any],
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    workers: int = 2,
    on_error: Literal["raise", "forward", "give-back"] = "forward",
    batch: int | None = None,
    puller_args: Sequence[object] = (),
    pusher_args: Sequence[object] = (),
    start_method: Literal["fork", "spawn"] = "fork",
    stop: threading.Event | None = None,
) -> Summary:
    """Pulls ``source``, lets ``model`` process each frame, and pushes the result to ``target``.

    Both are URLs or files. Audio goes around the model and stays in sync. Returns when the source
    has ended, which a live one never does; Ctrl-C and SIGTERM stop everything. A worker that dies
    is started again, and its frame goes to another one.

    :param model: ``model(frame)`` returns the output as an array, or ``model(frame, out)`` writes
        it; see :meth:`Worker.run`, also for ``on_error`` and ``batch``.
    :param workers: processes that run the model side by side.
    :param puller_args: more arguments for the puller, such as ``["--size", "640x360"]``.
    :param pusher_args: more arguments for the pusher, such as ``["--bitrate", "4M"]``.
    :param start_method: how the workers come to be: ``"fork"`` copies this process, the model
        included; ``"spawn"`` starts afresh and imports it, which models on a GPU need. The call
        must then stand below ``if __name__ == "__main__":``.
    :param stop: the run ends, and returns what it has done, soon after this is set. For a run in a
        thread of its own, which Ctrl-C and SIGTERM don't reach: they are the main thread's.
    :raises StageFailed: when the puller or the pusher gives up, or no worker can be started.
    :raises ModelFailed: when the model raised with ``on_error="raise"``, or on every frame.
    """
    if workers < 1:
        raise ValueError(f"{workers} workers process nothing: use at least 1")
    check_model(model, on_error, batch)
    _check_places(workers, batch)
    source, target = os.fspath(source), os.fspath(target)
    for_puller, for_pusher = _words(puller_args), _words(pusher_args)
    if start_method not in ("fork", "spawn"):
        raise ValueError(f"start_method is {start_method!r}, not fork or spawn")
    _refuse_same(source, target)
    _remove_rings_of_the_dead()
    name = f"run-{os.getpid()}-{next(_NUMBERS)}"
    context = multiprocessing.get_context(start_method)
    rings = (f"{name}.in", f"{name}.out")
    crew = Crew(context, workers, Model(model, batch), rings, on_error)
    stages: list[Stage] = []
    with _sigterm_as_exit():
        try:
            # Before any thread is started here, so that the forks are clean.
            crew.start()
            output = ["--ring", f"{name}.out", "--output", target]
            stages.append(Stage("pusher", [*output, *for_pusher]))
            pull = ["--input", source, "--ring", f"{name}.in"]
            pull += _slots_for(workers, batch, for_puller)
            stages.append(Stage("puller", [*pull, *for_puller]))
            while not all([stage.is_over() for stage in stages]):
                crew.keep_up()
                if stop is None:
                    time.sleep(_LOOK)
                elif stop.wait(_LOOK):
                    break
        finally:
            _clean_up(stages, crew, name)
    return _sum_up(crew)


def _words(arguments: Sequence[object]) -> list[str]:
    """A stage's arguments as texts."""
    if isinstance(arguments, str):
        raise TypeError(f"arguments are a list, as {arguments.split()}, not {arguments!r}")
    return [str(argument) for argument in arguments]


def _sum_up(crew: Crew) -> Summary:
    tally = crew.tally()
    if tally.failed and not tally.processed:
        raise ModelFailed(f"{tally.failed} times, and never took a frame; {crew.first_failure()}")
    if tally.dropped and not tally.processed:
        log.warning("nothing was published: the model returned None for every frame")
    return Summary(*tally.counts(), restarts=crew.restarts)


def _slots_for(workers: int, batch: int | None, puller_args: Sequence[str]) -> list[str]:
    """An option for as many slots in the input ring as all workers together can take."""
    chosen = [name for name in puller_args if name.startswith("--slots")]
    if chosen or "FRAMELANE_SLOTS" in os.environ:
        return []
    return ["--slots", str(max(_USUAL_SLOTS, workers * (batch or 1) + 2))]


def _check_places(workers: int, batch: int | None) -> None:
    """Each frame in hand takes a place in both rings."""
    wanted = workers * (batch or 1)
    if wanted > _PLACES:
        asked = f"{workers} workers" + (f" with batches of {batch}" if batch else "")
        raise ValueError(f"{asked} hold {wanted} frames at once: a ring has places for {_PLACES}")


def _refuse_same(source: str, target: str) -> None:
    """A file that is read must not be written: it would be lost."""
    both_exist = os.path.exists(source) and os.path.exists(target)
    if source == target or (both_exist and os.path.samefile(source, target)):
        raise ValueError(f"source and target are the same, {source}: write to another one")


@contextlib.contextmanager
def _sigterm_as_exit() -> Iterator[None]:
    """SIGTERM leaves as Ctrl-C does, with everything cleaned up; a handler of the user's stays."""
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def leave(number: int, _: Any) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _clean_up(stages: list[Stage], crew: Crew, name: str) -> None:
    # Each step is taken also when one before it fails, or when Ctrl-C comes again.
    with contextlib.ExitStack() as steps:
        steps.callback(_remove, [f"{name}.{part}" for part in ("in", "out", "audio")])
        steps.callback(crew.stop)
        # The puller first: the others finish what they hold.
        for stage in stages:
            steps.callback(stage.stop)


def _remove_rings_of_the_dead() -> None:
    """A run that was killed could not clean up: the next one does."""
    namespace = os.environ.get("FRAMELANE_NAMESPACE", "framelane")
    own = re.compile(re.escape(namespace) + r"\.(run-(\d+)-\d+\.\w+)")
    found = filter(None, (own.fullmatch(path.name) for path in pathlib.Path("/dev/shm").iterdir()))
    dead = [ring for ring, pid in (match.groups() for match in found) if not _runs(int(pid))]
    if dead:
        _remove(dead)


def _remove(rings: list[str]) -> None:
    """Removes rings that nobody uses; others are left alone."""
    subprocess.run([find_program("framelane"), "gc", *rings], capture_output=True, check=False)


def _runs(pid: int) -> bool:
    return pathlib.Path(f"/proc/{pid}").exists()
