"""`run`: the whole chain from one call, and nothing of it left afterwards."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest
from conftest import frame_hashes

import framelane as fl

LOSSLESS = ["--codec", "rawvideo"]


def invert(frame, out):
    out[:] = 255 - frame


ENDLESS = ["--input-arg=-f", "--input-arg=lavfi", "--realtime"]
PATTERN = "testsrc2=size=160x120:rate=25"


def stages() -> set[str]:
    """The stages among this process's children."""
    command = ["ps", "--ppid", str(os.getpid()), "-o", "comm="]
    children = subprocess.run(command, capture_output=True, text=True).stdout.split()
    return {"puller", "pusher"}.intersection(children)


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_a_file_goes_through_the_model(clip, tmp_path, start_method):
    output = tmp_path / "out.nut"
    summary = fl.run(
        invert, str(clip), str(output), pusher_args=LOSSLESS, start_method=start_method
    )
    assert summary == fl.Summary(processed=30, restarts=0)
    # rgb24 all the way: ffmpeg's own negative of its own decode.
    assert frame_hashes(output) == frame_hashes(clip, "-vf", "format=rgb24,negate")
    assert not stages()


def test_sound_goes_around_the_model(clip, tmp_path):
    output = tmp_path / "out.flv"
    fl.run(lambda frame: frame, str(clip), str(output), workers=1)
    command = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0"]
    codecs = subprocess.run([*command, str(output)], capture_output=True, text=True).stdout.split()
    assert sorted(codecs) == ["aac", "h264"]


def test_a_worker_that_dies_is_replaced_and_no_frame_lost(clip, tmp_path):
    marker = tmp_path / "died"

    def deadly(frame, out):
        if frame.seq == 7 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        out[:] = 255 - frame

    output = tmp_path / "out.nut"
    summary = fl.run(deadly, str(clip), str(output), workers=1, pusher_args=LOSSLESS)
    assert summary.restarts == 1
    assert frame_hashes(output) == frame_hashes(clip, "-vf", "format=rgb24,negate")


def test_a_stage_that_gives_up_says_why(tmp_path, capfd):
    with pytest.raises(fl.StageFailed, match="no-such-file") as failure:
        fl.run(invert, str(tmp_path / "no-such-file.mp4"), str(tmp_path / "out.flv"))
    assert failure.value.stage == "puller" and failure.value.status == 3
    assert not stages()


def test_bad_arguments_are_refused_before_anything_starts():
    with pytest.raises(ValueError, match="at least 1"):
        fl.run(invert, "in", "out", workers=0)
    with pytest.raises(ValueError, match="on_error"):
        fl.run(invert, "in", "out", on_error="ignore")


def test_ctrl_c_stops_everything(tmp_path):
    threading.Timer(2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        fl.run(invert, PATTERN, str(tmp_path / "out.flv"), puller_args=ENDLESS)
    assert not stages()


PARENT = """
import sys
import framelane as fl

fl.run(lambda frame: frame, sys.argv[1], sys.argv[2], puller_args=sys.argv[3:])
"""


def test_the_stages_do_not_outlive_a_parent_that_is_killed(tmp_path, namespace):
    output = tmp_path / "out.flv"
    command = [sys.executable, "-c", PARENT, PATTERN, str(output), *ENDLESS]
    parent = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_for(lambda: output.exists() and output.stat().st_size > 1000)
    parent.kill()
    parent.wait()
    wait_for(lambda: not running(namespace))
    from framelane._stages import find_program

    wait_for(lambda: subprocess.run([find_program("framelane"), "gc"]).returncode == 0)


def running(namespace: str) -> bool:
    """Whether any process still lives in the test's namespace."""
    wanted = f"FRAMELANE_NAMESPACE={namespace}".encode()
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            environment = pathlib.Path(f"/proc/{process}/environ").read_bytes()
        except OSError:
            continue
        if int(process) != os.getpid() and wanted in environment.split(b"\0"):
            return True
    return False


def wait_for(condition, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition never came"
        time.sleep(0.05)
