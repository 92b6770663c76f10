#!/usr/bin/env python3
"""Measures how far sound and pictures have moved against each other between two recordings.

usage: scripts/lib/sync_measure.py FOLDER CASE...     (FOLDER has CASE.in.flv and CASE.out.flv)

Prints a table with a line for each case. Ends with status 1 when any beep of any case is more than
one frame interval nearer to its pictures, or farther from them, than it was in the source, or when
too few beeps came out to tell. Docs: docs/guide/sync.md.
"""

import array
import bisect
import dataclasses
import re
import statistics
import subprocess
import sys

import sync_code as code

LIMIT_MS = 1000 / code.FPS
# Timestamps in FLV are whole milliseconds, at both sides.
STEP_TOLERANCE = 0.003
# Of the seconds of the output: each has a beep, unless the puller was away.
LEAST_SHARE = 0.5
# How far from a beep a picture may be to tell its time.
NEAR = 1.0
# A beep that was cut short has no beginning to be trusted: after a gap the decoder fades in.
LENGTH_TOLERANCE = 0.006
GAP = 0.005


@dataclasses.dataclass
class Picture:
    time: float
    number: int
    flash: bool


@dataclasses.dataclass
class Beep:
    time: float
    pitch: int


def decode(path, stream, options):
    """Decodes a stream to raw bytes: (bytes, the log with a line for each frame)."""
    command = ["ffmpeg", "-nostdin", "-hide_banner", "-nostats", "-v", "info", "-copyts"]
    command += ["-i", path, "-map", f"0:{stream}:0", *options, "pipe:1"]
    done = subprocess.run(command, capture_output=True, check=False)
    log = done.stderr.decode(errors="replace")
    if done.returncode != 0:
        sys.exit(f"sync: cannot decode {path}: {log.splitlines()[-1:]}")
    return done.stdout, log


def pictures_of(path):
    """The pictures with a readable number, in the order of their times."""
    # Each picture is written once: the last filter counts them at a constant rate.
    look = f"crop=iw:{code.SEEN_ROWS}:0:0,format=gray,showinfo,setpts=N/({code.FPS}*TB)"
    raw, log = decode(path, "v", ["-vf", look, "-r", str(code.FPS), "-f", "rawvideo"])
    times = [float(time) for time in re.findall(r"showinfo.*\bpts_time:\s*([-\d.e]+)", log)]
    size = code.WIDTH * code.SEEN_ROWS
    if len(raw) != size * len(times):
        sys.exit(f"sync: {path}: {len(times)} times for {len(raw) / size} pictures")
    found = []
    for index, time in enumerate(times):
        strip = raw[index * size : (index + 1) * size]
        number = code.read(strip)
        if number is not None:
            found.append(Picture(time, number, code.is_flash(strip)))
    return found


def beeps_of(path):
    """The whole beeps, by their first loud sample."""
    look = f"aformat=sample_fmts=s16:sample_rates={code.RATE}:channel_layouts=mono,ashowinfo"
    raw, log = decode(path, "a", ["-af", look, "-f", "s16le"])
    samples = array.array("h")
    samples.frombytes(raw)
    # First sample and time of each decoded frame, and where the sound has no gap.
    frames, runs, position = [], [], 0
    for time, count in re.findall(r"ashowinfo.*\bpts_time:\s*([-\d.e]+).*nb_samples:(\d+)", log):
        if not frames or abs(float(time) - time_at(frames, position)) > GAP:
            runs.append(position)
        frames.append((position, float(time)))
        position += int(count)
    if position != len(samples):
        sys.exit(f"sync: {path}: times for {position} of {len(samples)} samples")
    found = []
    for start, end in zip(runs, [*runs[1:], position]):
        for first, last in loud_parts(samples, start, end):
            pitch = code.pitch_of(samples[first + code.RATE // 100 : last - code.RATE // 100])
            length = (last - first) / code.RATE - code.BEEP_MS / 1000
            if abs(length) <= LENGTH_TOLERANCE and pitch is not None:
                found.append(Beep(time_at(frames, first), pitch))
    return found


def time_at(frames, sample):
    """The time of a sample, counted from the start of the frame that it is in."""
    first, time = frames[bisect.bisect_right(frames, (sample, float("inf"))) - 1]
    return time + (sample - first) / code.RATE


def loud_parts(samples, start, end):
    """Where it is loud: first and last sample of each part, 20 ms of silence between two."""
    block, gap = code.RATE // 1000, code.RATE // 50
    first = last = None
    for position in range(start, end, block):
        part = samples[position : min(position + block, end)]
        if max(part) < code.LOUD and min(part) > -code.LOUD:
            if first is not None and position - last > gap:
                yield first, last
                first = None
            continue
        loud = [n for n, sample in enumerate(part, position) if abs(sample) >= code.LOUD]
        first = loud[0] if first is None else first
        last = loud[-1]


class Source:
    """What the stages were given: the time of every picture, and of every second's beep."""

    def __init__(self, path):
        pictures = pictures_of(path)
        self.time_of = {picture.number: picture.time for picture in pictures}
        self.beep_of = {}
        for beep in beeps_of(path):
            for picture in neighbours(pictures, [p.time for p in pictures], beep.time):
                self.beep_of[second_of(picture.number, beep.pitch)] = beep.time
        offsets = [
            time - self.time_of[second * code.FPS]
            for second, time in self.beep_of.items()
            if second * code.FPS in self.time_of
        ]
        self.offset_ms = 1000 * statistics.median(offsets) if offsets else float("nan")


def second_of(number, pitch):
    """The second nearest to a picture whose beep has this pitch."""
    period = len(code.PITCHES)
    return pitch + period * round((number / code.FPS - pitch) / period)


def neighbours(pictures, times, time):
    """The picture that is seen at a time, and the one after it."""
    after = bisect.bisect_right(times, time)
    near = pictures[max(after - 1, 0) : after + 1]
    return [picture for picture in near if abs(picture.time - time) <= NEAR]


def errors_of(source, pictures, beeps):
    """For each beep, by how many ms it is late for its pictures: (when, ms).

    Where the source's clock was lost and found between the pictures around a beep, only one of
    them belongs to it: the nearer one.
    """
    times = [picture.time for picture in pictures]
    errors = []
    for beep in beeps:
        candidates = []
        for picture in neighbours(pictures, times, beep.time):
            sound = source.beep_of.get(second_of(picture.number, beep.pitch))
            shown = source.time_of.get(picture.number)
            if sound is not None and shown is not None:
                candidates.append(1000 * ((beep.time - picture.time) - (sound - shown)))
        if candidates:
            errors.append((beep.time, min(candidates, key=abs)))
    return errors


def slope_per_minute(points):
    """The drift: the slope of the line through the points."""
    if len(points) < 2:
        return 0.0
    return 60 * statistics.linear_regression(*zip(*points)).slope


def jumps_of(source, pictures):
    """How many steps from picture to picture are not the source's own."""
    jumps = 0
    for before, after in zip(pictures, pictures[1:]):
        if before.number in source.time_of and after.number in source.time_of:
            own = source.time_of[after.number] - source.time_of[before.number]
            jumps += abs(after.time - before.time - own) > STEP_TOLERANCE
    return jumps


def report(folder, case):
    """Prints the line of a case; says whether it is well."""
    source = Source(f"{folder}/{case}.in.flv")
    pictures = pictures_of(f"{folder}/{case}.out.flv")
    beeps = beeps_of(f"{folder}/{case}.out.flv")
    errors = errors_of(source, pictures, beeps)
    seconds = pictures[-1].time - pictures[0].time if pictures else 0
    if not errors or len(errors) < LEAST_SHARE * seconds:
        print(f"{case:10} {len(errors)} beeps of {seconds:.0f} s came out: too few to tell")
        return False
    values = [error for _, error in errors]
    numbers = {picture.number for picture in pictures}
    given = sum(min(numbers) <= number <= max(numbers) for number in source.time_of)
    worst = max(values, key=abs)
    print(
        f"{case:10} {len(values):5} {sum(p.flash for p in pictures):7} {source.offset_ms:9.1f}"
        f" {statistics.median(values):8.1f} {worst:8.1f} {slope_per_minute(errors):9.2f}"
        f" {len(numbers):6}/{given:<5} {jumps_of(source, pictures):5}"
        f"  {'ok' if abs(worst) <= LIMIT_MS else 'OUT OF SYNC'}"
    )
    return abs(worst) <= LIMIT_MS


def main(folder, cases):
    print(
        f"{'case':10} {'beeps':>5} {'flashes':>7} {'source ms':>9} {'median':>8} {'worst':>8}"
        f" {'drift/min':>9} {'frames out/in':>12} {'jumps':>5}"
    )
    well = [report(folder, case) for case in cases]
    print(f"limit: {LIMIT_MS:.0f} ms, one frame interval")
    return 0 if all(well) else 1


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
