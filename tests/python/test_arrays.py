"""Arrays: views without a copy while the claim lasts, and nobody else's pixels afterwards."""

from __future__ import annotations

import copy
import itertools
import pathlib
import pickle

import numpy as np
import pytest
from conftest import drain, feed, picture

import framelane as fl
from framelane import _native


@pytest.fixture
def one_frame(background, namespace):
    """A frame in hand, and the source that gives the next one."""
    feeder = background(lambda: feed("cam", 3))
    with fl.Source("cam", timeout=30) as source:
        yield next(source), source
    for _ in fl.Source("cam", timeout=30):
        pass
    feeder.join()


def test_a_frame_is_a_read_only_view_with_what_travels_beside_it(one_frame):
    frame, _ = one_frame
    assert isinstance(frame, np.ndarray) and frame.dtype == np.uint8
    assert np.array_equal(frame, picture(0))
    assert (frame.seq, frame.pts, frame.epoch, frame.pix_fmt) == (0, 0.0, 0, "rgb24")
    assert (frame.width, frame.height, frame.meta) == (64, 48, b"")
    assert 0 <= frame.age < 60
    with pytest.raises(ValueError, match="read-only"):
        frame[0] = 1
    with pytest.raises(ValueError):
        frame.flags.writeable = True


USES = {
    "index": lambda a: a[0, 0],
    "slice": lambda a: a[1:3],
    "array": lambda a: a.array,
    "ufunc": lambda a: a + 1,
    "reduce": lambda a: a.sum(),
    "function": lambda a: np.mean(a),
    "nested": lambda a: np.concatenate([a, a]),
    "copy": lambda a: a.copy(),
    "astype": lambda a: a.astype(float),
    "bytes": lambda a: a.tobytes(),
    "list": lambda a: a.tolist(),
    "iterate": lambda a: next(iter(a)),
    "compare": lambda a: a == 0,
    "interface": lambda a: a.__array_interface__,
    "dlpack": lambda a: a.__dlpack__(),
    "pickle": lambda a: pickle.dumps(a),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "flat": lambda a: a.flat,
    "data": lambda a: a.data,
    "where": lambda a: np.add(1, 1, where=a > 0),
    "a view of it": lambda a: a.T[0],
}


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
def test_a_frame_whose_claim_has_ended_raises(one_frame, use):
    frame, source = one_frame
    crop = frame[4:8]
    next(source)
    with pytest.raises(fl.ClaimEnded, match="frame 0 has ended"):
        use(frame)
    with pytest.raises(fl.ClaimEnded):
        crop[0]
    assert frame.seq == 0, "what travelled beside it stays known"
    assert "frame 0 has ended" in repr(frame)


def test_what_took_the_address_sees_zeroes_and_nobody_elses_pixels(one_frame):
    frame, source = one_frame
    plain, view, crop = np.asarray(frame), memoryview(frame), frame[2:].view(np.ndarray)
    assert plain.any() and crop.any()
    following = next(source)
    assert not plain.any() and not crop.any() and not any(view.tobytes())
    assert np.array_equal(following, picture(1))


def test_an_output_that_was_published_can_not_be_spoiled(background):
    feeder = background(lambda: feed("cam.in", 3))
    end = background(lambda: [np.array(f) for f in fl.Source("cam.out", timeout=30)])
    kept = []
    with fl.Worker("cam.in", "cam.out", timeout=30) as worker:
        for frame, out in worker:
            out[:] = frame
            kept.append(out.view(np.ndarray))
            for old in kept[:-1]:
                old[:] = 255
    feeder.join()
    assert all(np.array_equal(f, picture(seq)) for seq, f in enumerate(end.join()))


KEPT = {
    "a buffer": memoryview,
    "a plain view": lambda array: array.view(np.ndarray),
    "a part": lambda array: array[:2].T,
}


@pytest.mark.parametrize("keep", KEPT.values(), ids=KEPT.keys())
def test_a_model_may_keep_what_it_got_and_does_no_harm(background, keep):
    kept = []

    def model(frame, out):
        assert np.array_equal(frame, picture(frame.seq)), "whatever became of the slot before"
        assert not any(np.ndarray.any(view) for view in kept), "nobody else's pixels"
        out[:] = frame
        if frame.seq % 3 == 0:
            for array in (frame, out):
                view = np.asarray(keep(array)).view(np.ndarray)
                kept.append(view)

    feeder = background(lambda: feed("in", 24))
    reader = background(lambda: drain("out"))
    with fl.Worker("in", "out", timeout=30) as worker:
        tally = worker.run(model, on_error="raise")
    feeder.join()
    assert all(np.array_equal(got, picture(seq)) for seq, _, got in reader.join())
    assert tally.processed == 24 and len(kept) == 16


def test_copies_are_plain_and_stay(one_frame):
    frame, source = one_frame
    copies = [np.array(frame), frame.copy(), frame + 0, pickle.loads(pickle.dumps(frame))]
    picked = [frame[..., [2, 1, 0]], frame[frame > 100], np.delete(frame, 0, axis=0)]
    window = np.lib.stride_tricks.as_strided(frame, (2, 2), (3, 3), subok=True)
    next(source)
    with pytest.raises(fl.ClaimEnded):
        window.sum()
    assert all(np.array_equal(copy, picture(0)) for copy in copies)
    assert np.array_equal(copies[1][2:4], picture(0)[2:4]), "and so do the parts of a copy"
    whole = picture(0)
    expected = [whole[..., [2, 1, 0]], whole[whole > 100], np.delete(whole, 0, axis=0)]
    assert all(np.array_equal(copy, same) for copy, same in zip(picked, expected))


def test_what_is_made_from_a_frame_is_not_tied_to_it(one_frame):
    frame, source = one_frame
    background, scaled = np.zeros_like(frame), frame.astype(np.float32)
    next(source)
    background[1:3] += 1
    assert background.sum() == 2 * 64 * 3
    assert np.array_equal(scaled[..., ::-1].copy(), picture(0)[..., ::-1].astype(np.float32))


def test_a_mask_made_from_a_frame_selects(one_frame):
    frame, _ = one_frame
    mask = frame > 100
    assert frame.mean(where=mask) == picture(0).mean(where=picture(0) > 100)


def test_a_frame_that_has_ended_can_not_become_an_output(background):
    feeder, end = background(lambda: feed("cam.in", 4)), background(lambda: drain("cam.out"))
    old = None
    with fl.Worker("cam.in", "cam.out", timeout=30) as worker:
        for frame, out in worker:
            if old is not None:
                with pytest.raises(fl.ClaimEnded):
                    out[:] = old
            out[:] = old = frame
    feeder.join()
    assert all(np.array_equal(pixels, picture(seq)) for seq, _, pixels in end.join())


def test_views_keep_the_memory_mapped_when_the_ring_is_gone(background):
    feeder = background(lambda: feed("cam", 2))
    source = fl.Source("cam", timeout=30)
    kept = [np.asarray(frame) for frame in source]
    source.close()
    del source
    feeder.join()
    assert [array.any() for array in kept] == [False, False]


def test_frames_of_1080p_are_views_of_the_segment_and_cost_no_memory(background, namespace):
    shape = (1080, 1920, 3)
    feeder = background(lambda: feed("cam", 60, shape))
    resident = []
    for frame in fl.Source("cam", timeout=30):
        address = frame.__array_interface__["data"][0]
        assert mapping_of(address).endswith(f"/dev/shm/{namespace}.cam")
        resident.append(anonymous_bytes())
        assert frame[-1, -1, -1] == picture(frame.seq, shape)[-1, -1, -1]
    feeder.join()
    assert len(resident) == 60
    # The feeder in this process makes its pictures on the heap; what counts is that it is flat.
    assert resident[-1] < max(resident[:20]) + np.prod(shape)


def mapping_of(address: int) -> str:
    for line in pathlib.Path("/proc/self/maps").read_text().splitlines():
        start, end = (int(part, 16) for part in line.split()[0].split("-"))
        if start <= address < end:
            return line.split(maxsplit=5)[-1]
    return "nothing"


def anonymous_bytes() -> int:
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def test_a_class_that_is_no_array_is_refused_and_no_slot_lost():
    writer = _native.Writer("cam", 6, 4, "gray", 2, "drop-oldest")
    for _ in range(5):
        with pytest.raises(TypeError, match=r"<class 'int'> is no numpy\.ndarray"):
            writer.acquire(int, timeout=5)
    _, room = writer.acquire(np.ndarray, timeout=5)
    assert room.shape == (4, 6) and room.flags.writeable and room.flags.c_contiguous
    writer.close(end=True)


@pytest.mark.parametrize(
    ("like", "pix_fmt", "shape"),
    [((48, 64, 3), None, (48, 64, 3)), ((48, 64), None, (48, 64)), ((5, 7, 3), "bgr24", (5, 7, 3))],
)
def test_shapes_follow_the_pixel_format(background, like, pix_fmt, shape):
    def make():
        with fl.Sink("cam", like=like, pix_fmt=pix_fmt) as sink, sink.frame() as out:
            out[:] = 9

    maker = background(make)
    frames = [(frame.shape, frame.pix_fmt) for frame in fl.Source("cam", timeout=30)]
    maker.join()
    assert frames == [(shape, pix_fmt or ("rgb24" if len(like) == 3 else "gray"))]


@pytest.mark.parametrize(("like", "pix_fmt"), [((4, 6, 3), "gray"), ((4, 6), "yuv420p")])
def test_a_shape_of_another_pixel_format_is_refused(like, pix_fmt):
    with pytest.raises(ValueError, match=f"not {pix_fmt}"):
        fl.Sink("cam", like=like, pix_fmt=pix_fmt)


def test_opencv_and_pil_and_numpy_take_frames_without_a_copy(one_frame):
    cv2 = pytest.importorskip("cv2")
    image = pytest.importorskip("PIL.Image")
    frame, source = one_frame
    gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    assert gray.shape == (48, 64) and gray.any()
    assert np.array_equal(np.asarray(image.fromarray(frame)), picture(0))
    assert np.shares_memory(np.asarray(frame), np.asarray(frame))
    next(source)
    with pytest.raises(fl.ClaimEnded):
        image.fromarray(frame)


def test_opencv_draws_on_an_output_in_place(background):
    cv2 = pytest.importorskip("cv2")
    feeder = background(lambda: feed("cam.in", 2))
    end = background(lambda: [np.array(f) for f in fl.Source("cam.out", timeout=30)])
    with fl.Worker("cam.in", "cam.out", timeout=30) as worker:
        for frame, out in worker:
            out[:] = frame
            cv2.rectangle(out, (2, 2), (20, 20), (255, 0, 0), 1)
    feeder.join()
    assert all(tuple(f[2, 5]) == (255, 0, 0) for f in end.join())


def test_ufuncs_write_into_outputs(background):
    feeder = background(lambda: feed("cam.in", 2))
    end = background(lambda: [np.array(f) for f in fl.Source("cam.out", timeout=30)])
    with fl.Worker("cam.in", "cam.out", timeout=30) as worker:
        for number, (frame, out) in enumerate(itertools.islice(worker, 9)):
            np.subtract(255, frame, out=out)
            out += number
    feeder.join()
    for seq, out in enumerate(end.join()):
        assert np.array_equal(out, 255 - picture(seq) + np.uint8(seq))
