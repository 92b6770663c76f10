"""Forks: the child has lost the ring, cleanly; the parent and spawned processes have theirs."""

from __future__ import annotations

import multiprocessing
import os
import time
import warnings

import numpy as np
import pytest
from conftest import drain, feed, picture

import framelane as fl


def in_fork(function) -> str:
    """What a forked child says about `function`."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Newer Pythons warn of forks beside threads, which is what this is about.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            said = f"did it: {function()}"
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    assert os.waitpid(child, 0)[1] == 0
    return said


def test_a_child_has_lost_the_ring_and_the_parent_has_not(background):
    feeder, end = background(lambda: feed("cam.in", 6)), background(lambda: drain("cam.out"))
    with fl.Worker("cam.in", "cam.out", timeout=30) as worker:
        for frame, out in worker:
            raw = np.asarray(frame)
            lost = "ForkedError: this process is a fork"
            assert in_fork(lambda: frame.sum()).startswith(lost)
            assert in_fork(lambda: next(worker)).startswith(lost)
            assert in_fork(lambda: raw.any()) == "did it: False"
            assert in_fork(lambda: worker.close()) == "did it: None"
            out[:] = frame
    feeder.join()
    frames = end.join()
    assert [seq for seq, _, _ in frames] == list(range(6))
    assert all(np.array_equal(array, picture(seq)) for seq, _, array in frames)


def test_a_child_does_not_wait_for_a_thread_that_it_does_not_have(background):
    worker = fl.Worker("cam.in", "cam.out", timeout=30)
    waiting = background(lambda: list(worker))
    time.sleep(0.3)  # It holds the lock almost all of the time.
    assert in_fork(lambda: next(worker)).startswith("ForkedError: this process is a fork")
    assert in_fork(lambda: worker.close()) == "did it: None"
    worker.stop()
    waiting.join()


def attach_and_count(group: str) -> int:
    with fl.Source("cam", group=group, timeout=30) as source:
        return sum(1 for _ in source)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children_attach_by_themselves(background, method):
    context = multiprocessing.get_context(method)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pool = context.Pool(1)
    with pool:
        counted = pool.apply_async(attach_and_count, ("child",))
        feed("cam", 9)
        assert counted.get(30) == 9
        pool.close()
        pool.join()
