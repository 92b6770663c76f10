"""Frames a second from one Python process to another, each frame written once and read once; and
GStreamer's elements for the same purpose, whose frames are written but not read.

usage: frames.py [--rounds 5]     prints one line of JSON
"""

from __future__ import annotations

import argparse
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from typing import Any

import numpy as np
from slots import Slots
from table import Table

import framelane as fl

FORK = get_context("fork")
SIZES = {"720p": ((720, 1280, 3), 1200), "1080p": ((1080, 1920, 3), 600), "4K": ((2160, 3840, 3), 150)}
WARM_UP = 16
# How long a writer takes at most to fill all slots.
FILLING_S = 0.3


def timed(read_one: Callable[[], None], count: int, rate: Any) -> None:
    """Reads frames; notes how many come in a second once both sides have touched all memory. A ring
    gives the writer the first slot that is free: the last one is used when the writer is far ahead."""
    read_one()
    time.sleep(FILLING_S)
    for _ in range(1, WARM_UP):
        read_one()
    start = time.perf_counter()
    for _ in range(count - WARM_UP):
        read_one()
    rate.value = (count - WARM_UP) / (time.perf_counter() - start)


def framelane(shape: tuple[int, ...], count: int) -> float:
    name, rate = f"frames-{os.getpid()}-{shape[0]}", FORK.Value("d", 0)

    def receive() -> None:
        mine = np.ones(shape, np.uint8)
        with fl.Source(name) as source:
            timed(lambda: np.copyto(mine, next(source)), count, rate)
            # The end of the stream, with which the ring goes away.
            next(source, None)

    with fl.Sink(name, like=shape) as sink:
        receiver = FORK.Process(target=receive)
        receiver.start()
        frame = np.full(shape, 7, np.uint8)
        for number in range(count):
            sink.write(frame, pts=number / 25)
    receiver.join()
    return rate.value


def shared_memory(shape: tuple[int, ...], count: int) -> float:
    slots, rate = Slots(shape), FORK.Value("d", 0)

    def receive() -> None:
        mine = np.ones(shape, np.uint8)

        def read_one() -> None:
            np.copyto(mine, slots.claim())
            slots.release()

        timed(read_one, count, rate)

    receiver = FORK.Process(target=receive)
    receiver.start()
    frame = np.full(shape, 7, np.uint8)
    for _ in range(count):
        np.copyto(slots.acquire(), frame)
        slots.publish()
    receiver.join()
    slots.unlink()
    return rate.value


def queue(shape: tuple[int, ...], count: int) -> float:
    frames, rate = FORK.Queue(8), FORK.Value("d", 0)

    def receive() -> None:
        mine = np.ones(shape, np.uint8)
        timed(lambda: np.copyto(mine, frames.get()), count, rate)

    receiver = FORK.Process(target=receive)
    receiver.start()
    frame = np.full(shape, 7, np.uint8)
    for _ in range(count):
        frames.put(frame.copy())
    receiver.join()
    return rate.value


def gstreamer(shape: tuple[int, ...], count: int) -> float:
    size = int(np.prod(shape))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "socket")
        source = ["fakesrc", "sizetype=fixed", f"sizemax={size}", "filltype=zero", "!", "shmsink"]
        source += [f"socket-path={path}", f"shm-size={size * 8}", "wait-for-connection=true"]
        sender = subprocess.Popen(["gst-launch-1.0", "-q", *source, "sync=false"])
        while not path.exists():
            time.sleep(0.001)
        sink = ["shmsrc", f"socket-path={path}", f"num-buffers={count}", "!", "fakesink", "sync=false"]
        start = time.perf_counter()
        subprocess.run(["gst-launch-1.0", "-q", *sink], check=True, timeout=100)
        took = time.perf_counter() - start
        sender.kill()
        sender.wait()
    return count / took


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    table = Table("frames-in-python")
    ways = {
        "Framelane": framelane,
        "multiprocessing.shared_memory": shared_memory,
        "multiprocessing.Queue": queue,
    }
    if shutil.which("gst-launch-1.0"):
        ways["GStreamer shmsink, shmsrc (not read)"] = gstreamer
    for _ in range(rounds):
        for size, (shape, count) in SIZES.items():
            for name, way in ways.items():
                table.add(name, size, way(shape, count))
    table.print()


if __name__ == "__main__":
    main()
