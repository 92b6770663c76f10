"""`run`: the whole chain from one call, and nothing of it left afterwards."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from conftest import SHM, frame_hashes, wait_until

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
    assert summary == fl.Summary(processed=30, dropped=0, failed=0, restarts=0)
    # ffmpeg's own negative of its own decode.
    assert frame_hashes(output) == frame_hashes(clip, "-vf", "format=rgb24,negate")
    assert not stages()


def test_a_file_goes_through_a_model_of_batches(clip, tmp_path):
    output = tmp_path / "out.nut"
    summary = fl.run(
        lambda frames: 255 - np.stack(frames), str(clip), str(output), batch=4, pusher_args=LOSSLESS
    )
    assert summary == fl.Summary(processed=30, dropped=0, failed=0, restarts=0)
    assert frame_hashes(output) == frame_hashes(clip, "-vf", "format=rgb24,negate")


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
    assert str(pickle.loads(pickle.dumps(failure.value))) == str(failure.value)
    assert not stages()


def test_bad_arguments_are_refused_before_anything_starts():
    with pytest.raises(ValueError, match="at least 1"):
        fl.run(invert, "in", "out", workers=0)
    with pytest.raises(ValueError, match="on_error"):
        fl.run(invert, "in", "out", on_error="ignore")
    with pytest.raises(ValueError, match="hold 64 frames at once"):
        fl.run(invert, "in", "out", workers=8, batch=8)
    with pytest.raises(ValueError, match="not fork or spawn"):
        fl.run(invert, "in", "out", start_method="forkserver")


def test_a_worker_that_can_not_be_started_says_why(clip, tmp_path):
    with pytest.raises((AttributeError, pickle.PicklingError), match="pickle"):
        fl.run(lambda frame: frame, str(clip), str(tmp_path / "out.nut"), start_method="spawn")
    assert not stages()


def is_recorded(output: pathlib.Path) -> bool:
    """Whether a recording has got somewhere."""
    return output.exists() and output.stat().st_size > 1000


def test_ctrl_c_stops_everything(tmp_path, background):
    output = tmp_path / "out.flv"

    def interrupt():
        try:
            wait_until(lambda: is_recorded(output))
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        background(interrupt)
        fl.run(invert, PATTERN, output, puller_args=ENDLESS)
    assert not stages()


def test_a_run_in_a_thread_ends_when_it_is_asked_to(tmp_path, namespace):
    async def watch() -> fl.Summary:
        stop, output = threading.Event(), tmp_path / "out.mkv"
        chain = asyncio.to_thread(
            fl.run, invert, PATTERN, output, puller_args=ENDLESS, stop=stop
        )
        task = asyncio.create_task(chain)
        try:
            await asyncio.to_thread(wait_until, lambda: is_recorded(output))
        finally:
            stop.set()
        return await task

    summary = asyncio.run(watch())
    assert summary.processed > 0 and summary.restarts == 0
    assert frame_hashes(tmp_path / "out.mkv")
    assert not stages() and not segments(namespace)


def test_a_file_is_not_written_over_while_it_is_read(clip, tmp_path):
    link = tmp_path / "link.mkv"
    link.symlink_to(clip)
    before = clip.read_bytes()
    for target in (clip, link):
        with pytest.raises(ValueError, match="the same"):
            fl.run(invert, str(clip), str(target))
    assert clip.read_bytes() == before


def broken(frame):
    return frame // (frame.seq * 0)


@pytest.mark.parametrize("on_error", ["raise", "forward", "give-back"])
def test_a_model_that_always_fails_is_no_success(clip, tmp_path, on_error):
    with pytest.raises(fl.ModelFailed, match="in broken\n"):
        fl.run(strict, str(clip), str(tmp_path / "out.nut"), on_error=on_error)
    assert not stages()


def strict(frame):
    with np.errstate(all="raise"):
        return broken(frame)


def test_failures_and_dropped_frames_are_counted(clip, tmp_path):
    def picky(frame):
        if frame.seq % 10 == 3:
            raise LookupError("not that one")
        return None if frame.seq % 10 == 4 else frame

    summary = fl.run(picky, str(clip), str(tmp_path / "out.nut"), pusher_args=LOSSLESS)
    assert summary == fl.Summary(processed=24, dropped=3, failed=3, restarts=0)
    assert len(frame_hashes(tmp_path / "out.nut")) == 27


def test_nothing_published_is_warned_of(clip, tmp_path, caplog):
    assert fl.run(lambda frame: None, str(clip), str(tmp_path / "out.nut")).dropped == 30
    assert "nothing was published" in caplog.text


@pytest.mark.parametrize("leave", [lambda: sys.exit(3), KeyboardInterrupt])
def test_a_frame_on_which_the_model_leaves_every_time_is_passed_on(clip, tmp_path, leave):
    def model(frame):
        if frame.seq == 7:
            error = leave()
            raise error
        return frame

    output = tmp_path / "out.nut"
    summary = fl.run(model, str(clip), output, workers=1, pusher_args=LOSSLESS)
    assert (summary.processed, summary.restarts) == (29, 3)
    assert len(frame_hashes(output)) == 30


def test_arguments_of_stages_are_a_list(clip, tmp_path):
    with pytest.raises(TypeError, match=r"arguments are a list, as \['--slots', '12'\]"):
        fl.run(lambda frame: frame, clip, tmp_path / "out.nut", puller_args="--slots 12")


@pytest.mark.parametrize("leave", [sys.exit, lambda: os.kill(os.getpid(), signal.SIGTERM)])
def test_a_worker_that_leaves_before_the_end_is_replaced(clip, tmp_path, leave):
    marker = tmp_path / "left"

    def model(frame, out):
        out[:] = 255 - frame
        if frame.seq == 7 and not marker.exists():
            marker.touch()
            leave()

    output = tmp_path / "out.nut"
    summary = fl.run(model, str(clip), str(output), workers=1, pusher_args=LOSSLESS)
    assert summary.restarts == 1
    assert frame_hashes(output) == frame_hashes(clip, "-vf", "format=rgb24,negate")


def test_a_model_may_have_processes_of_its_own(clip, tmp_path):
    def model(frame):
        child = multiprocessing.get_context("fork").Process(target=int)
        child.start()
        child.join(30)
        return frame

    summary = fl.run(model, str(clip), str(tmp_path / "out.nut"), pusher_args=LOSSLESS)
    assert summary == fl.Summary(processed=30, dropped=0, failed=0, restarts=0)


def test_workers_that_die_at_once_end_the_run(clip, tmp_path):
    def deadly(frame):
        os.kill(os.getpid(), signal.SIGKILL)

    pattern = ["testsrc2=size=160x120:rate=25", str(tmp_path / "out.nut")]
    with pytest.raises(fl.StageFailed, match="killed by SIGKILL each time"):
        fl.run(deadly, *pattern, puller_args=ENDLESS)
    assert not stages()


def test_a_script_without_a_guard_is_told_of_it(clip, tmp_path):
    script = tmp_path / "script.py"
    ends = f"{str(clip)!r}, {str(tmp_path / 'out.nut')!r}"
    script.write_text(f"import framelane as fl\nfl.run(len, {ends}, start_method='spawn')\n")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "if __name__ == '__main__':" in done.stderr


PARENT = """
import sys
import framelane as fl

fl.run(lambda frame: frame, sys.argv[1], sys.argv[2], puller_args=sys.argv[3:])
"""


@pytest.fixture
def script(tmp_path, namespace):
    """A script in the midst of a run."""
    output = tmp_path / "out.flv"
    command = [sys.executable, "-c", PARENT, PATTERN, str(output), *ENDLESS]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_until(lambda: is_recorded(output))
    yield process
    process.kill()
    process.wait()


def test_a_script_that_is_terminated_leaves_nothing(script, namespace):
    script.terminate()
    assert script.wait(30) == 128 + signal.SIGTERM
    assert not running(namespace) and not segments(namespace)


def test_a_script_that_is_killed_leaves_no_process_and_the_next_run_clears_up(
    script, namespace, clip, tmp_path
):
    script.kill()
    script.wait()
    wait_until(lambda: not running(namespace))
    fl.run(invert, str(clip), str(tmp_path / "next.nut"))
    assert not segments(namespace)


def segments(namespace: str) -> list[str]:
    return [path.name for path in SHM.iterdir() if path.name.startswith(f"{namespace}.")]


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
