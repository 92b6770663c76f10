"""Batches: what is ready comes together, and a bad frame takes no others with it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from conftest import drain, feed, picture

import framelane as fl
from framelane._hand import Hand

SHAPE = (48, 64, 3)


def seqs_of(frames):
    return [frame.seq for frame in frames]


def test_a_batch_is_what_is_ready_and_never_waits_for_more(background):
    end = background(lambda: drain("cam.out"))
    with fl.Worker("cam.in", "cam.out", slots=8, timeout=30) as worker:
        batches = worker.batches(4)
        with fl.Sink("cam.in", like=SHAPE, slots=8) as sink:
            first = background(lambda: next(batches))
            sink.write(picture(0))
            frames, outs = first.join()
            assert seqs_of(frames) == [0], "nothing else was there"
            for seq in range(1, 6):
                sink.write(picture(seq))
            outs[0][:] = 255 - frames[0]
            frames, outs = next(batches)
            assert seqs_of(frames) == [1, 2, 3, 4]
            stacked = np.stack(frames)
            assert stacked.shape == (4, *SHAPE)
            for out, result in zip(outs, 255 - stacked):
                out[:] = result
        frames, outs = next(batches)
        assert seqs_of(frames) == [5]
        outs[0][:] = 255 - frames[0]
        assert next(batches, None) is None
    made = end.join()
    assert [seq for seq, _, _ in made] == list(range(6))
    assert all(np.array_equal(array, 255 - picture(seq)) for seq, _, array in made)


def test_each_frame_of_a_batch_can_end_in_its_own_way(background):
    feeder = background(lambda: feed("cam.in", 12))
    end = background(lambda: [(f.seq, f.unprocessed) for f in fl.Source("cam.out", timeout=30)])
    with fl.Worker("cam.in", "cam.out", slots=5, timeout=30) as worker:
        for frames, outs in worker.batches(3):
            for frame, out in zip(frames, outs):
                with pytest.raises(TypeError, match="the frame itself"):
                    worker.skip(frame[:10])
                if frame.seq % 3 == 0:
                    worker.skip(frame)
                elif frame.seq % 3 == 1:
                    worker.forward(frame)
                else:
                    out[:] = frame
    feeder.join()
    assert sorted(end.join()) == [(seq, seq % 3 == 1) for seq in range(12) if seq % 3]


@pytest.mark.parametrize("writes", [False, True])
def test_a_frame_that_a_model_fails_on_costs_no_other_of_its_batch(background, writes):
    feeder, end = background(lambda: feed("cam.in", 30)), background(lambda: drain("cam.out"))
    alone = []

    def make(frames):
        assert 1 <= len(frames) <= 4
        if 7 in seqs_of(frames):
            alone.append(len(frames) == 1)
            raise RuntimeError("no idea what this is")
        return 255 - np.stack(frames)

    def write(frames, outs):
        for out, result in zip(outs, make(frames)):
            out[:] = result

    with fl.Worker("cam.in", "cam.out", slots=6, timeout=30) as worker:
        tally = worker.run(write if writes else make, batch=4)
    feeder.join()
    made = end.join()
    assert (tally.processed, tally.failed) == (29, len(alone))
    assert alone[-1] and sum(alone) == 1, "in company, and then alone"
    assert sorted(seq for seq, _, _ in made) == list(range(30))
    for seq, _, array in made:
        assert np.array_equal(array, picture(seq) if seq == 7 else 255 - picture(seq))


KILLED = """
import signal
import time
import framelane as fl

with fl.Worker("cam.in", "cam.out", slots=8) as worker:
    for frames, outs in worker.batches(3):
        for frame, out in zip(frames, outs):
            out[:] = 255 - frame
        if len(frames) == 3:
            print(*[frame.seq for frame in frames], flush=True)
            signal.pause()
        time.sleep(0.1)  # More come meanwhile.
"""


def test_a_worker_killed_with_a_batch_in_hand_loses_none_of_it(background):
    feeder, end = background(lambda: feed("cam.in", 40)), background(lambda: drain("cam.out"))
    victim = subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True)
    held = [int(seq) for seq in victim.stdout.readline().split()]
    victim.kill()
    victim.wait()
    victim.stdout.close()
    redelivered = []
    with fl.Worker("cam.in", "cam.out", slots=8, timeout=30) as worker:
        for frames, outs in worker.batches(3):
            for frame, out in zip(frames, outs):
                out[:] = 255 - frame
            if any(frame.redelivered for frame in frames):
                assert len(frames) == 1, "it may be what the other one died of"
                redelivered += seqs_of(frames)
    feeder.join()
    made = end.join()
    assert sorted(seq for seq, _, _ in made) == list(range(40))
    assert all(np.array_equal(array, 255 - picture(seq)) for seq, _, array in made)
    assert len(held) == 3 and sorted(redelivered) == held


def test_an_output_for_each_frame_is_asked_for(background, caplog):
    feeder, end = background(lambda: feed("cam.in", 6)), background(lambda: drain("cam.out"))
    with fl.Worker("cam.in", "cam.out", slots=6, timeout=30) as worker:
        assert worker.run(lambda frames: frames[1:], batch=3).processed == 0
        for size in (0, -1):
            with pytest.raises(ValueError, match="at least 1 frame"):
                worker.batches(size)
    feeder.join()
    assert len(end.join()) == 6, "passed on as they are"
    assert "returned 0 outputs for 1 frames" in caplog.text


def test_what_leaves_the_block_in_the_middle_of_a_batch_loses_nothing(background):
    feeder, end = background(lambda: feed("cam.in", 10)), background(lambda: drain("cam.out"))
    with pytest.raises(ZeroDivisionError):
        with fl.Worker("cam.in", "cam.out", slots=6, timeout=30) as worker:
            for frames, _ in worker.batches(4):
                1 / (len(frames) - len(frames))
    with fl.Worker("cam.in", "cam.out", slots=6, timeout=30) as worker:
        assert worker.run(lambda frame: frame) == fl.Tally(processed=10)
    feeder.join()
    assert sorted(seq for seq, _, _ in end.join()) == list(range(10))


def test_a_batch_is_as_large_as_the_rings_have_places(background):
    def feed_many():
        with fl.Sink("cam.in", like=SHAPE, slots=64) as sink:
            for seq in range(60):
                sink.write(picture(seq))

    feeder, end = background(feed_many), background(lambda: drain("cam.out"))
    with fl.Worker("cam.in", "cam.out", slots=64, timeout=30) as worker:
        largest = 0
        for frames, outs in worker.batches(60):
            largest = max(largest, len(frames))
            for frame, out in zip(frames, outs):
                assert not frame.redelivered
                out[:] = frame
    feeder.join()
    assert largest <= 54
    assert [seq for seq, _, _ in end.join()] == list(range(60))


def test_what_a_model_was_never_given_is_not_published(background, monkeypatch):
    feeder, end = background(lambda: feed("cam.in", 6)), background(lambda: drain("cam.out"))

    def interrupted(hand):
        monkeypatch.undo()
        raise InterruptedError

    with fl.Worker("cam.in", "cam.out", slots=6, timeout=30) as worker:
        batches = worker.batches(3)
        monkeypatch.setattr(Hand, "take_ready", interrupted)
        with pytest.raises(InterruptedError):
            next(batches)
        for frames, outs in worker.batches(3):
            for frame, out in zip(frames, outs):
                out[:] = 255 - frame
    feeder.join()
    made = end.join()
    assert [seq for seq, _, _ in made] == list(range(6))
    assert all(np.array_equal(array, 255 - picture(seq)) for seq, _, array in made)
