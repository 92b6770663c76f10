"""What every test gets: a namespace of its own, and a look that nothing is left in it."""

from __future__ import annotations

import itertools
import os
import pathlib
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import framelane as fl

SHM = pathlib.Path("/dev/shm")
_numbers = itertools.count()


@pytest.fixture(autouse=True)
def namespace(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    name = f"pytest-{os.getpid()}-{next(_numbers)}"
    monkeypatch.setenv("FRAMELANE_NAMESPACE", name)
    yield name
    left = [path.name for path in SHM.iterdir() if path.name.startswith(f"{name}.")]
    for path in left:
        (SHM / path).unlink()
    assert not left, "segments were left behind"


@pytest.fixture(autouse=True)
def interruptible() -> None:
    """Ctrl-C works, also where a shell in the background has told its children to ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def picture(seq: int, shape: tuple[int, ...] = (48, 64, 3)) -> np.ndarray:
    """A frame whose every byte depends on its seq."""
    return (np.arange(np.prod(shape), dtype=np.uint32).reshape(shape) * 7 + seq * 31).astype(np.uint8)


class Background:
    """A function that runs beside the test; its error is the test's."""

    def __init__(self, function: Callable[[], object]) -> None:
        self.error: BaseException | None = None
        self.result: object = None

        def call() -> None:
            try:
                self.result = function()
            except BaseException as error:
                self.error = error

        self._thread = threading.Thread(target=call, daemon=True)
        self._thread.start()

    def join(self, seconds: float = 30) -> object:
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "it still runs"
        if self.error is not None:
            raise self.error
        return self.result


@pytest.fixture
def background() -> type[Background]:
    return Background


def feed(ring: str, count: int, shape: tuple[int, ...] = (48, 64, 3)) -> None:
    """Publishes `count` pictures, 40 ms apart on their timeline, and ends the stream."""
    with fl.Sink(ring, like=shape, slots=4) as sink:
        for seq in range(count):
            with sink.frame(pts=seq / 25) as out:
                out[:] = picture(seq, shape)


def drain(ring: str) -> list[tuple[int, float, np.ndarray]]:
    """Takes copies of all frames until the stream ends."""
    with fl.Source(ring, group="drain", timeout=30) as source:
        return [(frame.seq, frame.pts, np.array(frame)) for frame in source]


def wait_until(condition: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition never came"
        time.sleep(0.01)


def run_together(commands: list[list[str]], seconds: float = 100) -> None:
    """Runs programs side by side; all have to end well, and none outlives the call."""
    running = [subprocess.Popen(list(map(str, command))) for command in commands]
    try:
        end = time.monotonic() + seconds
        statuses = [process.wait(max(0, end - time.monotonic())) for process in running]
    finally:
        for process in running:
            process.kill()
            process.wait()
    assert statuses == [0] * len(running)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A short clip with sound, 30 frames of 160x120 in RGB: no colours have to be converted."""
    path = tmp_path_factory.mktemp("clip") / "clip.mkv"
    sources = ["-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:duration=1.2"]
    sources += ["-f", "lavfi", "-i", "sine=duration=1.2"]
    codecs = ["-c:v", "libx264rgb", "-preset", "ultrafast", "-c:a", "aac", "-shortest"]
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", *sources, *codecs, str(path)]
    subprocess.run(command, check=True)
    return path


def frame_hashes(path: pathlib.Path, *filters: str) -> list[str]:
    """The hash and time of every frame of a file, as ffmpeg sees them in rgb24."""
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-i", str(path), "-map", "0:v", *filters]
    command += ["-fps_mode", "passthrough", "-pix_fmt", "rgb24", "-f", "framemd5", "-"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [line.split(",")[-1].strip() for line in lines if not line.startswith("#")]


def decode(path: pathlib.Path) -> np.ndarray:
    """All frames of a file: frames x height x width x 3."""
    probe = ["ffprobe", "-v", "error", "-select_streams", "v", "-of", "csv=p=0"]
    size = subprocess.run(
        [*probe, "-show_entries", "stream=width,height", str(path)],
        check=True, capture_output=True, text=True,
    ).stdout
    width, height = map(int, size.split()[0].strip(",").split(",")[:2])
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-i", str(path), "-map", "0:v"]
    command += ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)
