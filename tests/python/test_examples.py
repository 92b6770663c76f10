"""The examples: each runs as it is on a real clip, and does what it says."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import numpy as np
import pytest
from conftest import decode, run_together

from framelane._stages import find_program

pytest.importorskip("cv2")

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLES = ROOT / "crates" / "python" / "examples"


def real_clip(name: str) -> pathlib.Path:
    script = ROOT / "scripts" / "clip.sh"
    path = ROOT / subprocess.run([script, name], stdout=subprocess.PIPE, text=True).stdout.strip()
    if path.stem != name:
        pytest.skip(f"the clip {name} can't be fetched here")
    return path


def frames_of(ring: str, clip: pathlib.Path, output: pathlib.Path, *workers: list) -> np.ndarray:
    """All frames that come to a ring when a clip is pulled into cam.in."""
    puller = [find_program("puller"), "--input", clip, "--ring", "cam.in"]
    pusher = [find_program("pusher"), "--ring", ring, "--output", output, "--codec", "rawvideo"]
    run_together([puller, *workers, pusher])
    return decode(output)


def through(
    example: str, clip: pathlib.Path, folder: pathlib.Path
) -> tuple[np.ndarray, np.ndarray]:
    """The frames that an example gets, and what it makes of them."""
    worker = [sys.executable, EXAMPLES / f"{example}.py"]
    before = frames_of("cam.in", clip, folder / "before.nut")
    return before, frames_of("cam.out", clip, folder / "after.nut", worker)


@pytest.fixture
def clip() -> pathlib.Path:
    return real_clip("carphone_pristine")


def test_faces_are_found_and_framed(clip, tmp_path):
    before, after = through("faces", clip, tmp_path)
    assert before.shape == after.shape
    boxed = np.all(after == (0, 255, 0), axis=3) & ~np.all(before == (0, 255, 0), axis=3)
    found = boxed.any(axis=(1, 2))
    assert found.mean() > 0.5, "a face looks into the camera all the time"
    assert np.array_equal(before[~found], after[~found]), "the rest is as it was"


def test_what_moves_is_painted(clip, tmp_path):
    before, after = through("motion", clip, tmp_path)
    painted = np.any(before != after, axis=3)
    assert np.all(after[painted] == (255, 0, 0))
    assert not painted[0].any(), "nothing has moved yet"
    assert 0.001 < painted[1:].mean() < 0.5


def test_the_background_is_blurred_and_the_person_is_not(clip, tmp_path):
    before, after = through("blur", clip, tmp_path)
    assert 0.05 < np.all(before == after, axis=3).mean() < 0.9

    def detail(frames: np.ndarray) -> float:
        return float(np.abs(np.diff(frames.astype(int), axis=1)).mean())

    outside = (slice(None), slice(20, 80), slice(150, 176))
    assert detail(after[outside]) < 0.6 * detail(before[outside]), "the trees behind the window"
    face = (slice(None), slice(50, 80), slice(75, 100))
    assert detail(after[face]) > 0.9 * detail(before[face])
