"""Sources and sinks used apart: the order that loses nothing is the only one there is."""

from __future__ import annotations

import asyncio
import subprocess

import numpy as np
import pytest
from conftest import drain, feed, picture, run_together

import framelane as fl
from framelane._clock import Clock, as_rate
from framelane._stages import find_program


def test_a_source_and_a_sink_make_a_worker(background):
    feeder, end = background(lambda: feed("cam.in", 20)), background(lambda: drain("cam.out"))
    with fl.Source("cam.in", group="yolo", timeout=30) as source:
        sink = fl.Sink("cam.out", like=source)
        for frame in source:
            with sink.frame(seq=frame.seq, pts=frame.pts) as out:
                out[:] = 255 - frame
            with pytest.raises(fl.ClaimEnded):
                frame[0]
    feeder.join()
    frames = end.join()
    assert [seq for seq, _, _ in frames] == list(range(20))
    assert all(np.array_equal(array, 255 - picture(seq)) for seq, _, array in frames)


def test_an_output_can_not_come_after_its_input_was_released(background):
    feeder, end = background(lambda: feed("cam.in", 3)), background(lambda: drain("cam.out"))
    with fl.Source("cam.in", timeout=30) as source:
        sink = fl.Sink("cam.out", like=source)
        first = next(source).seq
        second = next(source)
        with pytest.raises(fl.FramelaneError, match="frame 0 is not in hand but 1"):
            with sink.frame(seq=first):
                pass
        with pytest.raises(fl.FramelaneError, match="released before its output"):
            with sink.frame(seq=second.seq):
                source.release(second)
        with pytest.raises(fl.FramelaneError, match="no frame is in hand"):
            with sink.frame():
                pass
        for frame in source:
            with sink.frame(seq=frame.seq) as out:
                out[:] = frame
    feeder.join()
    assert [seq for seq, _, _ in end.join()] == [2]


def test_a_sink_block_that_raises_publishes_nothing_and_keeps_the_frame(background):
    feeder, end = background(lambda: feed("cam.in", 2)), background(lambda: drain("cam.out"))
    with fl.Source("cam.in", timeout=30) as source:
        sink = fl.Sink("cam.out", like=source)
        frame = next(source)
        with pytest.raises(RuntimeError, match="half-way"):
            with sink.frame(seq=frame.seq) as out:
                out[:] = 1
                raise RuntimeError("half-way")
        with sink.frame(seq=frame.seq) as out:
            out[:] = frame
        source.release(next(source))
        with pytest.raises(StopIteration):
            next(source)
    feeder.join()
    (seq, _, array), = end.join()
    assert seq == 0 and np.array_equal(array, picture(0))


def test_a_sink_is_made_before_the_first_frame_is_taken(background):
    feeder = background(lambda: feed("cam.in", 1))
    with fl.Source("cam.in", timeout=30) as source:
        next(source)
        with pytest.raises(fl.FramelaneError, match="make its one sink before"):
            fl.Sink("cam.out", like=source)
        assert list(source) == []
    feeder.join()


def test_a_sink_of_its_own_frames_aborts_and_ends(background):
    end = background(lambda: drain("cam"))
    with fl.Sink("cam", like=np.zeros((4, 6, 3))) as sink:
        with pytest.raises(ValueError, match="numbers them itself"):
            with sink.frame(seq=4):
                pass
        with pytest.raises(KeyError):
            with sink.frame(pts=1.0) as out:
                raise KeyError
        with sink.frame(pts=1.0) as out:
            out[:] = 5
            with pytest.raises(fl.FramelaneError, match="still open"):
                with sink.frame():
                    pass
        with pytest.raises(fl.ClaimEnded):
            out[:] = 6
    (seq, pts, array), = end.join()
    assert (seq, pts, array.tolist()) == (0, 1.0, np.full((4, 6, 3), 5).tolist())


def test_a_sink_of_a_ring_that_is_drained_says_so():
    picture = np.zeros((4, 6, 3), np.uint8)
    with fl.Sink("cam", like=picture, on_full="drop-oldest") as sink:
        sink.write(picture)
        subprocess.run([find_program("framelane"), "drain", "cam"], check=True)
        with pytest.raises(fl.FramelaneError, match="being drained"):
            sink.write(picture)
    # All have stopped: it begins anew.
    with fl.Sink("cam", like=picture, on_full="drop-oldest") as sink:
        sink.write(picture)


def test_what_is_written_is_copied_and_what_is_no_frame_is_refused(background):
    def numbers():
        with fl.Source("cam", timeout=30) as source:
            return [(frame.pts, frame.meta, int(frame[0, 0, 0])) for frame in source]

    pixels = np.zeros((4, 6, 3), np.uint8)
    with fl.Sink("cam", like=pixels) as sink:
        end = background(numbers)
        wait_for_groups("cam", members=1)
        with pytest.raises(TypeError, match="the sink was given float64: pixels are uint8"):
            sink.write(pixels / 255)
        with pytest.raises(ValueError, match=r"of shape \(6, 3\): the frame's is \(4, 6, 3\)"):
            sink.write(pixels[0])
        with pytest.raises(TypeError, match="metadata is bytes"):
            sink.write(pixels, meta="text")
        for number in range(20):
            pixels[:] = number
            sink.write(pixels, pts=number / 25, meta=b"%d" % number)
    assert end.join() == [(number / 25, b"%d" % number, number) for number in range(20)]


def test_a_workers_output_can_be_written(background):
    feeder, end = background(lambda: feed("cam.in", 5)), background(lambda: drain("cam.out"))
    with fl.Source("cam.in", group="worker", timeout=30) as source:
        sink = fl.Sink("cam.out", like=source)
        for frame in source:
            sink.write(255 - frame, seq=frame.seq)
    feeder.join()
    outputs = end.join()
    assert [seq for seq, _, _ in outputs] == list(range(5))
    assert all((array == 255 - picture(seq)).all() for seq, _, array in outputs)


def test_asyncio_reads_in_threads_to_the_end(background):
    feeder = background(lambda: feed("cam.in", 9))

    async def read():
        seqs = []
        with fl.Source("cam.in", timeout=30) as source:
            while (frame := await asyncio.to_thread(next, source, None)) is not None:
                seqs.append(frame.seq)
        return seqs

    assert asyncio.run(read()) == list(range(9))
    feeder.join()


def test_shapes_that_are_no_picture_are_refused():
    for shape in [(4,), (4, 6, 4), (0, 6, 3), (4, 16385, 3)]:
        with pytest.raises(ValueError):
            fl.Sink("cam", like=shape)


@pytest.mark.parametrize("wrong", [{"slots": 0}, {"fps": (25, 0)}, {"pix_fmt": "rgb48"}])
def test_options_that_can_not_be_are_refused(wrong):
    with pytest.raises(ValueError):
        fl.Sink("cam", like=(4, 6, 3), **wrong)


def test_groups_see_every_frame_and_members_share_them(background):
    def seqs(group):
        with fl.Source("cam", group=group, timeout=30) as source:
            return [frame.seq for frame in source]

    # The groups have to be there before the stream starts, or they miss its beginning.
    with fl.Sink("cam", like=(48, 64, 3)) as sink:
        readers = [background(lambda g=g: seqs(g)) for g in ("a", "a", "b")]
        wait_for_groups("cam", members=3)
        for seq in range(30):
            with sink.frame() as out:
                out[:] = picture(seq)
    first, second, other = (reader.join() for reader in readers)
    assert sorted(first + second) == other == list(range(30))


def wait_for_groups(ring: str, members: int) -> None:
    import json
    import subprocess

    from conftest import wait_until

    from framelane._stages import find_program

    def joined() -> bool:
        command = [find_program("framelane"), "stat", ring, "--json"]
        stat = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        return sum(group["members"] for group in stat["groups"]) == members

    wait_until(joined)


def test_metadata_goes_on_through_framelanes_own_worker(background):
    def feed_with_boxes():
        with fl.Sink("cam.in", like=(48, 64, 3)) as sink:
            sink.write(picture(0), meta=b"boxes")

    feeder = background(feed_with_boxes)
    metas = background(lambda: [frame.meta for frame in fl.Source("cam.out", timeout=30)])
    run_together([[find_program("worker"), "--from", "cam.in", "--to", "cam.out"]])
    feeder.join()
    assert metas.join() == [b"boxes"]


def test_a_sink_that_was_closed_says_so_at_once():
    sink = fl.Sink("cam.in", like=(48, 64, 3), on_full="drop-oldest")
    sink.close()
    with pytest.raises(fl.FramelaneError, match="this place on ring 'cam.in' was closed"):
        sink.write(picture(0))


def test_times_of_own_frames_rise_and_a_bad_one_leaves_the_sink_usable(background):
    end = background(lambda: drain("cam.in"))
    with fl.Sink("cam.in", like=(48, 64, 3), fps=25) as sink:
        for pts in (None, None, 0.5, None):
            sink.write(picture(0), pts=pts)
        for wrong in (float("nan"), 1e30, 0.54, 0.1):
            with pytest.raises(ValueError, match="pts is"):
                sink.write(picture(0), pts=wrong)
        with pytest.raises(TypeError, match="pts is a number of seconds"):
            sink.write(picture(0), pts="1")
        sink.close(end=False)
        # The next one goes on where this one stopped.
        with fl.Sink("cam.in", like=(48, 64, 3), fps=(25, 1)) as successor:
            successor.write(picture(0))
    assert [pts for _, pts, _ in end.join()] == [0, 0.04, 0.5, 0.54, 0.58]


def test_without_a_rate_time_goes_on_from_the_last_time_that_was_given():
    clock = Clock(None, None)
    assert clock.place(None) < 10**9
    clock.note(clock.place(np.float32(100)))
    later = clock.place(None)
    assert 100 * 10**9 < later < 130 * 10**9
    # The successor of a source whose last frame is a minute old.
    assert Clock((5 * 10**9, 60 * 10**9), None).place(None) >= 65 * 10**9
    assert [as_rate(fps) for fps in (25, 30000 / 1001, (1, 3600))] == [(25, 1), (30000, 1001), (1, 3600)]
    for wrong in (0, -1, float("nan"), "fast", (1, 0), 10**6):
        with pytest.raises(ValueError, match="fps is"):
            as_rate(wrong)


def test_a_reader_that_leaves_on_the_same_frame_every_time_drops_it(background):
    feeder = background(lambda: feed("cam.in", 2))
    for _ in range(3):
        with pytest.raises(SystemExit), fl.Source("cam.in", timeout=30) as source:
            assert next(source).seq == 0
            raise SystemExit(1)
    with fl.Source("cam.in", timeout=30) as source:
        assert [frame.seq for frame in source] == [1]
    feeder.join()


def test_who_waits_for_a_reader_is_told_so_and_can_be_stopped(background):
    with fl.Sink("cam.in", like=(48, 64, 3), timeout=0.1) as sink:
        with pytest.raises(TimeoutError, match=r"slot on ring 'cam.in' \(it has no reader yet\)"):
            sink.write(picture(0))
        sink.timeout = None
        waiting = background(lambda: sink.write(picture(0)))
        sink.stop()
        with pytest.raises(fl.FramelaneError, match="asked to stop while ring 'cam.in' had no room"):
            waiting.join()
    assert drain("cam.in") == []


def test_an_ordered_source_restores_the_order_behind_workers(background):
    def read_in_order():
        with fl.Source("cam.out", group="ordered", ordered=True, timeout=30) as source:
            return [frame.seq for frame in source]

    feeder = background(lambda: feed("cam.in", 2))
    end = background(read_in_order)
    with fl.Source("cam.out", timeout=0) as shared:
        with fl.Worker("cam.in", "cam.out", timeout=30) as first:
            frame, _ = next(first)
            with pytest.raises(TimeoutError):  # It takes its place: nothing is there yet.
                next(shared)
            shared.timeout = 30
            with fl.Worker("cam.in", "cam.out", timeout=30) as second:
                later, _ = next(second)
                second.forward(later)
            assert next(shared).seq == 1
            first.forward(frame)
        assert [frame.seq for frame in shared] == [0]
    feeder.join()
    assert end.join() == [0, 1]


def test_the_newest_frame_is_seen_once_and_taken_from_nobody():
    options = {"on_full": "drop-oldest", "slots": 8}
    with fl.Sink("cam.in", like=(48, 64, 3), **options) as sink:
        with fl.Source("cam.in", newest=True, timeout=0.1) as newest:
            for count in (3, 1):
                for _ in range(count):
                    sink.write(picture(0))
                seq = next(newest).seq
                with pytest.raises(TimeoutError, match="no frame on ring 'cam.in' within"):
                    next(newest)
            assert seq == 3
            sink.close()
            assert list(newest) == []
    with pytest.raises(ValueError, match="choose one"):
        fl.Source("cam.in", newest=True, ordered=True)
    with pytest.raises(TimeoutError, match=r"ring 'cam.in' \(there is no such ring\) within"):
        next(fl.Source("cam.in", timeout=0))
    with pytest.raises(fl.FramelaneError, match="was closed"), newest:
        pass


def test_a_ring_that_is_there_stays_as_it_is_and_that_is_said(caplog):
    with fl.Sink("cam.in", like=(48, 64, 3), on_full="drop-oldest", slots=4) as first:
        first.close(end=False)
    with fl.Sink("cam.in", like=(48, 64, 3), on_full="drop-oldest", slots=4):
        pass
    assert caplog.text == ""
    with fl.Sink("cam.in", like=(48, 64, 3), on_full="drop-oldest", slots=4) as first:
        first.close(end=False)
    with fl.Sink("cam.in", like=(48, 64, 3), slots=9):
        pass
    assert "stays as it is (ring=\"cam.in\", slots=4, policy=drop-oldest)" in caplog.text
