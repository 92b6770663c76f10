"""The whole job, file to file: decode to rgb24, pass every frame through a process, encode with
x264 veryfast into FLV. Wall time, CPU time and memory of Framelane, of the script that it replaces,
of PyAV and GStreamer, and of one ffmpeg that does the same conversions and nothing else: the limit.

And several streams side by side, at the pace at which they play: CPU time for each.

usage: whole_job.py --clip FILE --bin FOLDER --libav-puller FILE [--rounds 5]

Prints one line of JSON for each table.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field

from table import Table

HERE = pathlib.Path(__file__).parent
CONVERSIONS = (
    "scale=in_color_matrix=bt709:in_range=tv:out_range=pc:flags=bilinear,format=rgb24,"
    "scale=in_range=pc:out_color_matrix=bt709:out_range=tv:flags=bicubic,format=yuv420p"
)
SIZES = {"720p": "1280x720", "1080p": "1920x1080"}
SECONDS, PACED_SECONDS = 20, 10
STREAMS = (1, 4, 16)
REALTIME = ("--realtime", "--on-full", "block")
YUV = ("--pix-fmt", "yuv420p")
LIBAV = "Framelane, --decoder libav"
RINGS = "all rings"
# What GStreamer's shmsink sometimes says when it has sent everything and is stopped.
SHMSINK_AT_ITS_END = "gst_poll_wait returned -1, errno: 16"


@dataclass
class Run:
    """What a set of processes took, their children included."""

    wall: float
    cpu: float
    # Peak memory of each process itself, shared memory left out, and of all rings, in MB.
    memory: dict[str, float] = field(default_factory=dict)


class MemoryWatch:
    """Notes the largest private memory of some processes while they run, and that of their rings."""

    def __init__(self, names: dict[int, str], namespace: str) -> None:
        self.peaks = dict.fromkeys([*names.values(), RINGS], 0.0)
        self._names = names
        self._namespace = namespace
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            for pid, name in self._names.items():
                self.peaks[name] = max(self.peaks[name], private_mb(pid))
            self.peaks[RINGS] = max(self.peaks[RINGS], shared_mb(self._namespace))

    def stop(self) -> dict[str, float]:
        self._over.set()
        self._thread.join()
        return self.peaks


def private_mb(pid: int) -> float:
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return sum(int(fields[key].split()[0]) for key in ("RssAnon", "RssFile") if key in fields) / 1024


def shared_mb(namespace: str) -> float:
    total = 0
    for path in pathlib.Path("/dev/shm").glob(f"{namespace}.*"):
        try:
            total += path.stat().st_blocks * 512
        except FileNotFoundError:
            pass  # Its last user has just left.
    return total / 1e6


def run(commands: dict[str, list[str]], namespace: str = "bench") -> Run:
    """Runs processes side by side until all have ended."""
    environment = {**os.environ, "FRAMELANE_NAMESPACE": namespace}
    start = time.monotonic()
    children = {
        name: subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        for name, command in commands.items()
    }
    watch = MemoryWatch({child.pid: name for name, child in children.items()}, namespace)
    # What they say is little, and read when they have ended.
    cpu = 0.0
    try:
        for name, child in children.items():
            _, status, usage = os.wait4(child.pid, 0)
            cpu += usage.ru_utime + usage.ru_stime
            child.returncode = os.waitstatus_to_exitcode(status)
            if child.returncode != 0 and SHMSINK_AT_ITS_END not in (said := child.stderr.read()):
                sys.exit(f"{name} failed: {said}")
            child.stderr.close()
        wall = time.monotonic() - start
    finally:
        peaks = watch.stop()
        for child in children.values():
            if child.returncode is None:
                child.kill()
    return Run(wall, cpu, peaks)


def framelane(
    programs: str, clip: str, out: str, ring: str = "job", extra: tuple[str, ...] = ()
) -> dict[str, list[str]]:
    return {
        "pusher": [f"{programs}/pusher", "--ring", f"{ring}.out", "--output", out],
        "worker": [f"{programs}/worker", "--from", f"{ring}.in", "--to", f"{ring}.out"],
        "puller": [f"{programs}/puller", "--input", clip, "--ring", f"{ring}.in", *extra],
    }


def framelane_libav(programs: str, puller: str, clip: str, out: str) -> dict[str, list[str]]:
    """The puller that decodes itself: a program of its own, so that what the usual one takes is not
    spoiled by the libraries."""
    commands = framelane(programs, clip, out)
    arguments = commands.pop("puller")[1:]
    return {**commands, "puller, --decoder libav": [puller, "--decoder", "libav", *arguments]}


def one_ffmpeg(clip: str, out: str, filters: str) -> dict[str, list[str]]:
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", clip, "-an", "-vf", filters]
    return {"ffmpeg": [*command, "-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-f", "flv", out]}


def script(clip: str, out: str, size: str) -> dict[str, list[str]]:
    return {"script": [sys.executable, str(HERE / "script.py"), clip, out, size, "25"]}


def pyav(clip: str, out: str) -> dict[str, list[str]]:
    return {"PyAV": [sys.executable, str(HERE / "pyav.py"), clip, out]}


def gstreamer(clip: str, out: str) -> dict[str, list[str]]:
    raw = "video/x-raw,format=RGB ! queue"
    return {"GStreamer": gst_launch(f"{gst_decode(clip)} ! {raw} ! {gst_encode(out)}")}


def gstreamer_shm(clip: str, out: str, size: str, frames: int, folder: str) -> dict[str, list[str]]:
    """Three processes with shared memory in between, each with room for eight frames."""
    width, height = (int(part) for part in size.split("x"))
    # Buffers that come from the memory itself, which shmsink offers, are kept in pools until there
    # is no room left and all stands still. Without them shmsink copies, as Framelane's worker does.
    sink = f"identity drop-allocation=true ! shmsink shm-size={width * height * 3 * 8} sync=false"
    sink += " wait-for-connection=true socket-path"
    source = f"shmsrc num-buffers={frames} socket-path"
    into, out_of = f"{folder}/in", f"{folder}/out"
    parse = f"rawvideoparse format=rgb width={width} height={height} framerate=25/1"
    return {
        "GStreamer decoder": gst_launch(f"{gst_decode(clip)} ! video/x-raw,format=RGB ! {sink}={into}"),
        "GStreamer worker": gst_launch(f"{source}={into} ! {sink}={out_of}", after=into),
        "GStreamer encoder": gst_launch(
            f"{source}={out_of} ! {parse} ! {gst_encode(out)}", after=out_of
        ),
    }


def gst_decode(clip: str) -> str:
    return f"filesrc location={clip} ! qtdemux ! h264parse ! avdec_h264 ! videoconvert"


def gst_encode(out: str) -> str:
    encoder = "x264enc speed-preset=veryfast key-int-max=50"
    mux = f"h264parse ! flvmux ! filesink location={out}"
    return f"videoconvert ! video/x-raw,format=I420 ! {encoder} ! {mux}"


def gst_launch(pipeline: str, after: str | None = None) -> list[str]:
    """Runs a pipeline, once there is the socket `after`."""
    command = f"exec gst-launch-1.0 -q {pipeline}"
    wait = f"until [ -S {after} ]; do sleep 0.005; done; " if after else ""
    return ["sh", "-c", wait + command]


def make_clip(source: str, out: str, size: str, seconds: int) -> None:
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-stream_loop", "-1", "-i", source]
    scale = f"scale={size.replace('x', ':')}:flags=bicubic"
    colour = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]
    encode = ["-c:v", "libx264", "-preset", "fast", "-pix_fmt", "yuv420p", *colour]
    subprocess.run([*command, "-t", str(seconds), "-an", "-vf", scale, *encode, out], check=True)


def frames_in(path: str) -> int:
    command = ["ffprobe", "-v", "error", "-count_packets", "-select_streams", "v"]
    command += ["-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", path]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip(",\n "))


def whole_job(options: argparse.Namespace, folder: str) -> None:
    table, memory = Table("whole-job"), Table("memory")
    for size_name, size in SIZES.items():
        clip = f"{folder}/{size_name}.mp4"
        make_clip(options.clip, clip, size, SECONDS)
        expected = frames_in(clip)
        for _ in range(options.rounds):
            out = f"{folder}/out.flv"
            ways = {
                "Framelane": framelane(options.bin, clip, out),
                "Framelane, yuv420p": framelane(options.bin, clip, out, extra=YUV),
                LIBAV: framelane_libav(options.bin, options.libav_puller, clip, out),
                "one ffmpeg": one_ffmpeg(clip, out, CONVERSIONS),
                "one ffmpeg that never makes rgb24": one_ffmpeg(clip, out, "null"),
                "the script": script(clip, out, size),
                "PyAV": pyav(clip, out),
            }
            if shutil.which("gst-launch-1.0"):
                ways["GStreamer, one process"] = gstreamer(clip, out)
                shm = gstreamer_shm(clip, out, size, expected, folder)
                ways["GStreamer, three processes and shm"] = shm
            for name, commands in ways.items():
                took = run(commands)
                got = frames_in(out)
                if got != expected:
                    sys.exit(f"{name}: {got} frames of {expected}")
                table.add(name, f"{size_name}_wall_s", took.wall)
                table.add(name, f"{size_name}_cpu_s", took.cpu)
                for process, peak in took.memory.items():
                    if process != "ffmpeg" and name != "Framelane, yuv420p" and peak > 0:
                        memory.add(process, f"{size_name}_mb", peak)
    table.print()
    memory.print()


def side_by_side(options: argparse.Namespace, folder: str) -> None:
    table = Table("streams")
    clip = f"{folder}/480p.mp4"
    make_clip(options.clip, clip, "854x480", PACED_SECONDS)
    for _ in range(min(options.rounds, 3)):
        for count in STREAMS:
            ours, theirs = {}, {}
            for number in range(count):
                out = f"{folder}/{number}.flv"
                stages = framelane(options.bin, clip, out, f"s{number}", REALTIME)
                ours |= {f"{name}-{number}": command for name, command in stages.items()}
                paced = [sys.executable, str(HERE / "script.py"), clip, f"{folder}/{number}.flv"]
                theirs[f"script-{number}"] = [*paced, "854x480", "25"]
            took = run(ours)
            table.add("Framelane", f"{count}_cpu_s", took.cpu / count)
            took = run(theirs)
            table.add("the script", f"{count}_cpu_s", took.cpu / count)
    table.print()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clip", required=True)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--libav-puller", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        whole_job(options, folder)
        side_by_side(options, folder)


if __name__ == "__main__":
    main()
