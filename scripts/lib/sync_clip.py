#!/usr/bin/env python3
"""Makes the clip of the sync report: numbered pictures, a flash and a beep every second.

usage: scripts/lib/sync_clip.py SECONDS FILE.flv
"""

import os
import subprocess
import sys
import tempfile

import sync_code as code


def make(seconds, path):
    """H.264 and AAC in FLV; the file is whole or not there."""
    part = f"{path}.part"
    with tempfile.NamedTemporaryFile(suffix=".s16") as sound:
        sound.write(code.sound(seconds).tobytes())
        sound.flush()
        size = f"{code.WIDTH}x{code.HEIGHT}"
        command = ["ffmpeg", "-nostdin", "-v", "error", "-y"]
        command += ["-f", "rawvideo", "-pix_fmt", "gray", "-s", size, "-r", str(code.FPS)]
        command += ["-i", "pipe:0", "-f", "s16le", "-ar", str(code.RATE), "-ac", "1"]
        command += ["-i", sound.name, "-c:v", "libx264", "-preset", "veryfast", "-bf", "0"]
        command += ["-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "128k"]
        # Key frames drift against the beeps: who joins at one finds the next beep anywhere.
        command += ["-g", str(code.FPS * 6 // 5), "-sc_threshold", "0"]
        command += ["-f", "flv", part]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as ffmpeg:
            for number in range(seconds * code.FPS):
                ffmpeg.stdin.write(code.draw(number))
        if ffmpeg.returncode != 0:
            sys.exit(f"sync_clip: ffmpeg failed with status {ffmpeg.returncode}")
    os.replace(part, path)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    make(int(sys.argv[1]), sys.argv[2])
