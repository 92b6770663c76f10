"""Paints what moves in red: each frame against a slowly adapting background, in plain numpy.

usage: python motion.py --from cam.in --to cam.out                       (pip install framelane)
"""

import argparse
import signal

import framelane as fl
import numpy as np

# Of 255: how far a pixel's brightness has to be from the background's to count as moving.
THRESHOLD = 24
# How fast the background follows: about 1/0.05 frames.
RATE = 0.05


class Motion:
    """A model with a memory. With several workers each sees only its own frames."""

    def __init__(self):
        self.background = None

    def __call__(self, frame):
        """A mask of the pixels that move."""
        luma = frame @ np.array([77, 150, 29], np.uint16) >> 8
        if self.background is None or self.background.shape != luma.shape:
            self.background = luma.astype(np.float32)
        difference = np.abs(luma - self.background)
        self.background += RATE * (luma - self.background)
        return difference > THRESHOLD


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--from", dest="source", default="cam.in", help="the ring to take from")
    parser.add_argument("--to", default="cam.out", help="the ring to publish to")
    arguments = parser.parse_args()
    motion = Motion()
    with fl.Worker(arguments.source, arguments.to) as worker:
        signal.signal(signal.SIGTERM, lambda *_: worker.stop())
        for frame, out in worker:
            moving = motion(frame)
            out[:] = frame
            out[moving] = (255, 0, 0)


if __name__ == "__main__":
    main()
