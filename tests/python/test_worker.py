"""The worker loop: every way a frame can end, and nothing lost in any of them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from conftest import drain, feed, frame_hashes, picture, run_together, wait_until

import framelane as fl
from framelane._stages import find_program


def test_every_frame_comes_out_processed_and_in_order(background):
    feeder, end = background(lambda: feed("cam.in", 40)), background(lambda: drain("cam.out"))
    with fl.Worker("cam.in", "cam.out", timeout=30) as worker:
        for frame, out in worker:
            out[:] = 255 - frame
    feeder.join()
    frames = end.join()
    assert [(seq, pts) for seq, pts, _ in frames] == [(n, n / 25) for n in range(40)]
    assert all(np.array_equal(array, 255 - picture(seq)) for seq, _, array in frames)


def test_skip_forward_and_metadata(background):
    feeder = background(lambda: feed("cam.in", 6))

    def collect():
        with fl.Source("cam.out", timeout=30) as source:
            return [(f.seq, f.unprocessed, f.meta, int(f[0, 0, 0])) for f in source]

    end = background(collect)
    with fl.Worker("cam.in", "cam.out", timeout=30) as worker:
        for frame, out in worker:
            if frame.seq == 1:
                worker.skip(frame)
            elif frame.seq == 2:
                worker.forward(frame)
            else:
                out[:] = 7
                out.meta = b"boxes %d" % frame.seq
    feeder.join()
    expected = [(n, False, b"boxes %d" % n, 7) for n in (0, 3, 4, 5)]
    expected.insert(1, (2, True, b"", int(picture(2)[0, 0, 0])))
    assert end.join() == expected


def test_metadata_that_does_not_fit_is_refused_with_numbers(background):
    feeder, end = background(lambda: feed("cam.in", 1)), background(lambda: drain("cam.out"))
    with fl.Worker("cam.in", "cam.out", timeout=30) as worker:
        frame, out = next(worker)
        with pytest.raises(ValueError, match="4096 bytes of metadata travel with a frame, not 5000"):
            out.meta = bytes(5000)
        out[:] = frame
        assert next(worker, None) is None
    feeder.join()
    assert len(end.join()) == 1


def test_metadata_that_does_not_fit_is_the_models_failure(background):
    feeder, end = background(lambda: feed("cam.in", 4)), background(lambda: drain("cam.out"))

    def model(frame, out):
        out.meta = bytes(5000 if frame.seq == 2 else 50)
        out[:] = frame

    with fl.Worker("cam.in", "cam.out", timeout=30) as worker:
        assert worker.run(model) == fl.Tally(processed=3, failed=1)
    feeder.join()
    assert len(end.join()) == 4


def test_a_model_may_end_its_frame_by_itself(background):
    feeder = background(lambda: feed("cam.in", 4))
    end = background(lambda: [f.unprocessed for f in fl.Source("cam.out", timeout=30)])
    with fl.Worker("cam.in", "cam.out", timeout=30) as worker:

        def model(frame):
            return worker.forward(frame) if frame.seq == 1 else frame

        assert worker.run(model, on_error="raise") == fl.Tally(processed=3)
    feeder.join()
    assert end.join() == [False, True, False, False]


@pytest.mark.parametrize("on_error", ["forward", "give-back"])
def test_a_model_that_fails_loses_no_frame_and_the_loop_goes_on(background, caplog, on_error):
    feeder, end = background(lambda: feed("cam.in", 8)), background(lambda: drain("cam.out"))
    failures = []

    def model(frame):
        if frame.seq == 3:
            failures.append(frame.seq)
            raise RuntimeError("no idea what this is")
        return 255 - frame

    with fl.Worker("cam.in", "cam.out", timeout=30) as worker:
        assert worker.run(model, on_error=on_error).processed == 7
    feeder.join()
    frames = end.join()
    assert [seq for seq, _, _ in frames] == list(range(8))
    assert np.array_equal(frames[3][2], picture(3)), "passed on as it is"
    assert len(failures) == (1 if on_error == "forward" else 3)
    assert "no idea what this is" in caplog.text and "test_worker.py" in caplog.text


def test_a_model_may_raise_its_way_out_and_the_frame_stays(background):
    feeder, end = background(lambda: feed("cam.in", 5)), background(lambda: drain("cam.out"))
    with pytest.raises(ZeroDivisionError):
        with fl.Worker("cam.in", "cam.out", timeout=30) as worker:
            worker.run(lambda frame: 1 / 0, on_error="raise")
    with fl.Worker("cam.in", "cam.out", timeout=30) as worker:
        assert worker.run(lambda frame, out: np.copyto(out, frame)) == fl.Tally(processed=5)
    feeder.join()
    assert [seq for seq, _, _ in end.join()] == list(range(5))


def test_breaking_out_of_the_loop_gives_the_frame_back(background):
    feeder, end = background(lambda: feed("cam.in", 5)), background(lambda: drain("cam.out"))
    with fl.Worker("cam.in", "cam.out", timeout=30) as worker:
        for frame, _ in worker:
            if frame.seq == 2:
                break
    with fl.Worker("cam.in", "cam.out", timeout=30) as worker:
        seqs = [frame.seq for frame, _ in worker]
    feeder.join()
    assert seqs == [2, 3, 4]
    assert [seq for seq, _, _ in end.join()] == list(range(5))


def test_several_workers_in_threads_share_the_frames(background):
    feeder, end = background(lambda: feed("cam.in", 60)), background(lambda: drain("cam.out"))
    counts = []
    # A worker that came when the stream was over would wait for the next one.
    all_are_there = threading.Barrier(3, timeout=30)

    def work():
        def model(frame):
            if not models:
                models.append(frame.seq)
                all_are_there.wait()
            return frame

        models = []
        with fl.Worker("cam.in", "cam.out", slots=5, timeout=30) as worker:
            counts.append(worker.run(model).processed)

    workers = [background(work) for _ in range(3)]
    for worker in workers:
        worker.join()
    feeder.join()
    # A group without order takes them as they come; each comes once.
    assert sorted(seq for seq, _, _ in end.join()) == list(range(60))
    assert sum(counts) == 60 and len(counts) == 3


def test_waiting_ends_with_a_time_out_and_lets_other_threads_run(background):
    worker = fl.Worker("cam.in", "cam.out", timeout=1)
    ticks = 0
    waiting = background(lambda: next(worker))
    while waiting.error is None:
        ticks += 1
        time.sleep(0.001)
    assert ticks > 20
    with pytest.raises(TimeoutError, match="no frame on ring .* within [0-9.]+ s"):
        waiting.join()
    with fl.Sink("cam.in", like=(48, 64, 3)), pytest.raises(TimeoutError):
        next(worker)
    with worker:
        assert list(worker) == []
    assert drain("cam.out") == []


@pytest.fixture
def no_room(background):
    """Two rings whose output is full and read by nobody, until `drain` is called."""
    feeder = background(lambda: feed("cam.in", 8))
    reader = fl.Source("cam.out", group="drain", timeout=30)

    def fill():
        with fl.Worker("cam.in", "cam.out", slots=3, timeout=30) as worker:
            for frame, out in worker:
                out[:] = frame
                if frame.seq == 1:
                    worker.stop()

    first = background(fill)
    stalled = next(reader)
    first.join()
    yield lambda: [stalled.seq, *(frame.seq for frame in reader)]
    reader.close()
    feeder.join()


def test_a_time_out_for_want_of_room_is_no_failure_of_the_frame(no_room, background):
    with fl.Worker("cam.in", "cam.out", timeout=1) as worker:
        with pytest.raises(TimeoutError, match="no free slot"):
            for frame, out in worker:
                out[:] = frame
        with pytest.raises(TimeoutError, match="no free slot"):
            next(worker)
        end = background(no_room)
        worker.timeout = 30
        for frame, out in worker:
            assert not frame.redelivered
            out[:] = frame
    assert end.join() == list(range(8))


def test_a_sinks_want_of_room_is_no_failure_of_the_frame_either(no_room, background):
    # After three failures no model would see the frame any more.
    for _ in range(4):
        with pytest.raises(TimeoutError, match="no free slot"):
            with fl.Source("cam.in", group="worker", timeout=30) as source:
                sink = fl.Sink("cam.out", like=source, timeout=0.2)
                for frame in source:
                    sink.write(frame)
    end = background(no_room)
    with fl.Worker("cam.in", "cam.out", timeout=30) as worker:
        assert worker.run(lambda frame: frame, on_error="raise") == fl.Tally(processed=5)
    assert end.join() == list(range(8))


def test_stop_ends_the_waiting_for_room(no_room, background):
    with fl.Worker("cam.in", "cam.out", timeout=30) as worker:
        waiting = background(lambda: [out.fill(0) for _, out in worker])
        wait_until(lambda: worker._hands[0].frame is not None and worker._hands[0].frame.seq == 3)
        worker.stop()
        waiting.join(5)
    end = background(no_room)
    with fl.Worker("cam.in", "cam.out", timeout=30) as worker:
        worker.run(lambda frame: frame, on_error="raise")
    assert end.join() == list(range(8))


def test_ctrl_c_interrupts_the_waiting():
    with pytest.raises(KeyboardInterrupt):
        threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        with fl.Worker("cam.in", "cam.out") as worker:
            next(worker)


def test_a_time_out_that_a_signal_handler_raises_is_not_swallowed():
    def handler(*_):
        raise TimeoutError("the user's own")

    old = signal.signal(signal.SIGALRM, handler)
    try:
        with fl.Worker("cam.in", "cam.out") as worker, pytest.raises(TimeoutError, match="own"):
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            next(worker)
    finally:
        signal.signal(signal.SIGALRM, old)


def test_stop_ends_the_loop_after_the_frame_in_hand(background):
    feeder = background(lambda: feed("cam.in", 3))
    end = background(lambda: drain("cam.out"))
    seqs = []
    with fl.Worker("cam.in", "cam.out", timeout=30) as worker:
        for frame, out in worker:
            out[:] = frame
            seqs.append(frame.seq)
            worker.stop()
    assert seqs == [0]
    with fl.Worker("cam.in", "cam.out", timeout=30) as worker:
        assert worker.run(lambda frame: frame) == fl.Tally(processed=2)
    feeder.join()
    assert [seq for seq, _, _ in end.join()] == [0, 1, 2]


KILLED = """
import os, signal, sys
import framelane as fl

with fl.Worker("cam.in", "cam.out", slots=4) as worker:
    for frame, out in worker:
        if frame.seq == 5:
            print("in the model", flush=True)
            signal.pause()
        out[:] = 255 - frame
"""


def test_a_worker_killed_in_its_model_loses_no_frame(background, caplog):
    feeder, end = background(lambda: feed("cam.in", 12)), background(lambda: drain("cam.out"))
    victim = subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True)
    assert victim.stdout.readline() == "in the model\n"
    victim.kill()
    victim.wait()
    victim.stdout.close()
    redelivered = []
    with fl.Worker("cam.in", "cam.out", slots=4, timeout=30) as worker:
        for frame, out in worker:
            out[:] = 255 - frame
            if frame.redelivered:
                redelivered.append(frame.seq)
    feeder.join()
    frames = end.join()
    assert sorted(seq for seq, _, _ in frames) == list(range(12))
    assert all(np.array_equal(array, 255 - picture(seq)) for seq, _, array in frames)
    assert redelivered == [5]
    # Whoever noticed it in this process has said so in Python's log.
    told = rf"cleaned up after a dead process \(ring=\"cam.in\", pid={victim.pid}, "
    assert re.search(told, caplog.text), caplog.text


def test_only_the_frame_itself_can_be_forwarded(background):
    feeder, end = background(lambda: feed("cam.in", 1)), background(lambda: drain("cam.out"))
    with fl.Worker("cam.in", "cam.out", timeout=30) as worker:
        for frame, out in worker:
            for other in (frame.copy(), frame[:10], np.array(frame), None):
                with pytest.raises(TypeError, match="the frame itself"):
                    worker.forward(other)
            with pytest.raises(TypeError, match="metadata is bytes, not dict"):
                out.meta = {"boxes": []}
            worker.forward(frame)
    feeder.join()
    assert len(end.join()) == 1


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda frame: frame / 255, "returned float"),
        (lambda frame: frame[:, :, 0] > 9, "returned bool"),
        (lambda frame: frame[::2], r"shape \(24, 64, 3\): the frame's is \(48, 64, 3\)"),
        (lambda frame: np.zeros(3, np.uint8), r"shape \(3,\)"),
    ],
)
def test_an_output_that_is_no_picture_is_an_error(background, caplog, wrong, text):
    feeder, end = background(lambda: feed("cam.in", 4)), background(lambda: drain("cam.out"))
    with fl.Worker("cam.in", "cam.out", timeout=30) as worker:
        assert worker.run(wrong) == fl.Tally(failed=4)
    feeder.join()
    assert len(end.join()) == 4, "passed on as they are"
    assert re.search(text, caplog.text)
    # The traceback once, and then a line after 2 and after 4.
    told = [text for text in caplog.messages if text.startswith("the model failed")]
    assert caplog.text.count("Traceback") == 1 and len(told) == 3


def test_a_model_without_output_is_warned_of(background, caplog):
    feeder, end = background(lambda: feed("cam.in", 40)), background(lambda: drain("cam.out"))
    with fl.Worker("cam.in", "cam.out", timeout=30) as worker:
        assert worker.run(lambda frame: None) == fl.Tally(dropped=40)
    feeder.join()
    assert end.join() == []
    assert caplog.text.count("returned None for all of 25 frames") == 1


def test_what_is_no_model_is_refused():
    with fl.Worker("cam.in", "cam.out") as worker, pytest.raises(TypeError, match="callable"):
        worker.run("model.onnx")


def test_waiting_for_a_ring_that_nobody_makes_is_said(background, caplog):
    worker = fl.Worker("no-such.in", "no-such.out")
    waiting = background(lambda: next(worker, None))
    wait_until(lambda: "no frame on ring 'no-such.in' for 3 s" in caplog.text)
    worker.stop()
    assert waiting.join() is None


def test_waiting_for_room_is_said(no_room, background, caplog):
    with fl.Worker("cam.in", "cam.out") as worker:
        waiting = background(lambda: [out.fill(0) for _, out in worker])
        wait_until(lambda: "no room on ring 'cam.out' for 3 s" in caplog.text)
        worker.stop()
        waiting.join()
    end = background(no_room)
    with fl.Worker("cam.in", "cam.out", timeout=30) as worker:
        worker.run(lambda frame: frame, on_error="raise")
    assert end.join() == list(range(8))


def test_bad_names_are_refused(monkeypatch):
    for arguments in [("a/b", "c"), ("a", "a"), ("x" * 300, "c")]:
        with pytest.raises(ValueError):
            fl.Worker(*arguments)
    with pytest.raises(ValueError, match="group"):
        fl.Worker("a", "b", group="no spaces")


def test_it_equals_the_rust_worker_bit_for_bit(clip, tmp_path):
    outputs = {}
    python = [sys.executable, "-c", PYTHON_INVERT]
    rust = [find_program("worker"), "--from", "cam.in", "--to", "cam.out", "--op", "invert"]
    for name, command in [("python", python), ("rust", rust)]:
        outputs[name] = tmp_path / f"{name}.nut"
        target = ["--output", outputs[name], "--codec", "rawvideo"]
        puller = [find_program("puller"), "--input", clip, "--ring", "cam.in"]
        run_together([puller, command, [find_program("pusher"), "--ring", "cam.out", *target]])
    hashes = frame_hashes(outputs["python"])
    assert len(hashes) == 30 and hashes == frame_hashes(outputs["rust"])


PYTHON_INVERT = """
import framelane as fl

with fl.Worker("cam.in", "cam.out") as worker:
    for frame, out in worker:
        out[:] = 255 - frame
"""
