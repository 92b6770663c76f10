"""Framelane's own programs, as children that don't outlive this process."""

from __future__ import annotations

import collections
import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable

PR_SET_PDEATHSIG = 1

# Seconds that a stage gets to finish the frame in hand.
GRACE = 5.0


class StageFailed(RuntimeError):
    """A stage gave up. ``stage``, ``status`` and ``lines`` (the last of its log) say which and why."""

    def __init__(self, stage: str, status: int, lines: Iterable[str]) -> None:
        self.stage = stage
        self.status = status
        self.lines = list(lines)
        super().__init__("\n".join([f"{stage} ended with status {status}:", *self.lines]))

    def __reduce__(self) -> tuple[type[StageFailed], tuple[str, int, list[str]]]:
        return StageFailed, (self.stage, self.status, self.lines)


def find_program(name: str) -> str:
    """The path of a program that belongs to this package."""
    beside = pathlib.Path(sys.executable).parent / name
    folder = os.environ.get("FRAMELANE_BIN_DIR")
    if folder is not None:
        found: str | None = str(pathlib.Path(folder) / name)
    else:
        found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"there is no program '{name}': pip install framelane brings it")
    return found


class Stage:
    """A running puller or pusher. Its log goes to stderr; the last lines are kept for errors."""

    def __init__(self, name: str, arguments: list[str]) -> None:
        self.name = name
        self._lines: collections.deque[str] = collections.deque(maxlen=8)
        parent = os.getpid()
        self._process = subprocess.Popen(
            [find_program(name), *arguments],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            # Ctrl-C is this process's to handle: it stops the stages in order.
            start_new_session=True,
            preexec_fn=lambda: die_with(parent),
        )
        self._reader = threading.Thread(target=self._read, name=f"{name} log", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._lines.append(line.rstrip())
            # Nobody may be left to see it; a stage whose log nobody reads would stand still.
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(line)

    def is_over(self) -> bool:
        """Whether the stage has done its work.

        :raises StageFailed: when it gave up.
        """
        status = self._process.poll()
        if status:
            self._reader.join(GRACE)
            raise StageFailed(self.name, status, self._lines)
        return status == 0

    def stop(self) -> None:
        """Asks the stage to finish, and waits for it; kills it when it takes too long."""
        self._process.terminate()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(GRACE)
        assert self._process.stderr is not None
        self._process.stderr.close()


def die_with(parent: int) -> None:
    """Runs in the child: it is asked to finish when its parent dies, however that happens."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)
