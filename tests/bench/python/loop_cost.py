"""What a loop over frames costs a Python process that does nothing with them: CPU time for each
1080p frame that comes in as a numpy array and goes out as one. What feeds the loop and what takes
its output run in processes of their own, and don't count.

usage: loop_cost.py --bench PROGRAM [--rounds 5]     prints one line of JSON
"""

from __future__ import annotations

import argparse
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import get_context
from typing import Any

import av
import numpy as np
from slots import Slots
from table import Table

import framelane as fl

FORK = get_context("fork")
SHAPE = (1080, 1920, 3)
BYTES = int(np.prod(SHAPE))
# A frame that is copied takes a thousand times as long as one that is not: enough of each kind to
# be measured.
FRAMES = 4000
COPIED_FRAMES = 400
WARM_UP = 20


class Stopwatch:
    """CPU time of this process from frame to frame, once it is warm."""

    def __init__(self, frames: int) -> None:
        self._frames = frames
        self._seen, self._start, self._end = 0, 0.0, 0.0

    def tick(self) -> None:
        self._seen += 1
        if self._seen == WARM_UP:
            self._start = time.process_time()
        elif self._seen == self._frames:
            self._end = time.process_time()

    def microseconds(self) -> float:
        return (self._end - self._start) / (self._frames - WARM_UP) * 1e6


def microseconds(frames: Iterable[Any], count: int) -> float:
    """What a loop takes for each frame. Its variable holds the last one, as any loop's does."""
    stopwatch = Stopwatch(count)
    for _, _frame in zip(range(count), frames):
        stopwatch.tick()
    return stopwatch.microseconds()


def beside(*functions: Any) -> list[Any]:
    """Processes that feed the loop, and drain it."""
    children = [FORK.Process(target=function, daemon=True) for function in functions]
    for child in children:
        child.start()
    return children


def with_a_loop(worker: fl.Worker) -> float:
    took = microseconds(worker, FRAMES)
    next(worker, None)
    return took


def with_run(worker: fl.Worker) -> float:
    stopwatch = Stopwatch(FRAMES)

    def model(frame: Any, out: Any) -> None:
        stopwatch.tick()

    worker.run(model)
    return stopwatch.microseconds()


def framelane(bench: str, work: Callable[[fl.Worker], float]) -> float:
    rings = [f"loop-{os.getpid()}.{end}" for end in ("in", "out")]
    # Made in Rust, so that the loop never waits for another one in Python.
    with subprocess.Popen([bench, "ends", *rings, str(FRAMES)]) as ends:
        with fl.Worker(*rings, timeout=60) as worker:
            took = work(worker)
        if ends.wait() != 0:
            raise RuntimeError(f"{bench} ends failed")
    return took


def shared_memory() -> float:
    into, out_of = Slots(SHAPE), Slots(SHAPE)

    def feed() -> None:
        for _ in range(FRAMES):
            into.acquire()
            into.publish()

    def drain() -> None:
        for _ in range(FRAMES):
            out_of.claim()
            out_of.release()

    def loop() -> Iterator[Any]:
        while True:
            frame, out = into.claim(), out_of.acquire()
            yield frame, out
            out_of.publish()
            into.release()

    children = beside(feed, drain)
    took = microseconds(loop(), FRAMES)
    for child in children:
        child.terminate()
        child.join()
    into.unlink()
    out_of.unlink()
    return took


def queue() -> float:
    into, out_of = FORK.Queue(8), FORK.Queue(8)

    def feed() -> None:
        frame = np.zeros(SHAPE, np.uint8)
        for _ in range(COPIED_FRAMES):
            into.put(frame)

    def drain() -> None:
        for _ in range(COPIED_FRAMES):
            out_of.get()

    def loop() -> Iterator[Any]:
        while True:
            frame = into.get()
            yield frame
            out_of.put(frame)

    children = beside(feed, drain)
    took = microseconds(loop(), COPIED_FRAMES)
    for child in children:
        child.kill()
        child.join()
    out_of.cancel_join_thread()
    return took


def pipe() -> float:
    (into, feeder), (drainer, out_of) = os.pipe(), os.pipe()

    def feed() -> None:
        frame = bytes(BYTES)
        with os.fdopen(feeder, "wb") as stream:
            for _ in range(COPIED_FRAMES):
                stream.write(frame)

    def drain() -> None:
        with os.fdopen(drainer, "rb") as stream:
            while stream.read(BYTES):
                pass

    def loop() -> Iterator[Any]:
        with os.fdopen(into, "rb", 10**8) as source, os.fdopen(out_of, "wb", 10**8) as sink:
            while raw := source.read(BYTES):
                frame = np.frombuffer(raw, np.uint8).reshape(SHAPE)
                yield frame
                sink.write(frame.tobytes())

    children = beside(feed, drain)
    took = microseconds(loop(), COPIED_FRAMES)
    for child in children:
        child.kill()
        child.join()
    os.close(feeder)
    os.close(drainer)
    return took


def pyav() -> float:
    decoded = av.VideoFrame(1920, 1080, "yuv420p")

    def loop() -> Iterator[Any]:
        while True:
            frame = decoded.to_ndarray(format="rgb24")
            yield frame
            av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="yuv420p")

    return microseconds(loop(), COPIED_FRAMES)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bench", required=True, help="the program that makes and takes the frames")
    arguments = parser.parse_args()
    rounds, bench = arguments.rounds, arguments.bench
    table = Table("python-loop")
    ways = {
        "Framelane": lambda: framelane(bench, with_a_loop),
        "Framelane, run(model)": lambda: framelane(bench, with_run),
        "multiprocessing.shared_memory": shared_memory,
        "pipe": pipe,
        "multiprocessing.Queue": queue,
        "PyAV (converts colours)": pyav,
    }
    for _ in range(rounds):
        for name, way in ways.items():
            table.add(name, "cpu_us", way())
    table.print()


if __name__ == "__main__":
    main()
