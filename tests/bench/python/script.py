"""The script that everybody starts from, made correct: frames of one size come from one ffmpeg's
pipe as numpy arrays, a model changes them, and they go to another ffmpeg's pipe. No sound, and no
timestamps but those that a constant frame rate gives.

usage: script.py INPUT OUTPUT WIDTHxHEIGHT RATE [DELAY_SECONDS]
"""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np


def main(source: str, target: str, size: str, rate: str, delay: str = "0") -> None:
    width, height = (int(side) for side in size.split("x"))
    frame_bytes = width * height * 3
    live = "://" in target
    decoder = subprocess.Popen(
        ["ffmpeg", "-v", "error", "-i", source, "-an", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
        stdout=subprocess.PIPE,
        bufsize=10**8,
    )
    encoder = subprocess.Popen(
        ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", rate]
        + ["-i", "-", "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", "50"]
        + (["-tune", "zerolatency"] if live else [])
        + ["-f", "flv", target],
        stdin=subprocess.PIPE,
        bufsize=10**8,
    )
    while len(raw := decoder.stdout.read(frame_bytes)) == frame_bytes:
        frame = np.frombuffer(raw, dtype=np.uint8).reshape(height, width, 3)
        time.sleep(float(delay))
        encoder.stdin.write(frame.tobytes())
    encoder.stdin.close()
    decoder.wait()
    encoder.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
