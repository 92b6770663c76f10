"""Blurs what is behind a person: a face tells where to look, GrabCut cuts out who it belongs to.

usage: python blur.py --from cam.in --to cam.out        (pip install framelane 'opencv-python<5')
"""

import argparse
import signal

import cv2
import framelane as fl
import numpy as np

# GrabCut works on pictures of this height.
SMALL = 96


class Segmentation:
    """Tells a person from the background. Keeps to the last face while it sees none."""

    def __init__(self):
        weights = cv2.data.haarcascades + "haarcascade_frontalface_default.xml"
        self.faces, self.box = cv2.CascadeClassifier(weights), None

    def __call__(self, frame):
        """A mask that is 1 where the person is and 0 behind, with soft edges."""
        height, width = frame.shape[:2]
        small = cv2.resize(frame, (width * SMALL // height, SMALL), interpolation=cv2.INTER_AREA)
        gray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        found = self.faces.detectMultiScale(gray, 1.05, 4, minSize=(16, 16))
        self.box = max(found, key=lambda box: box[2]) if len(found) else self.box
        if self.box is None:
            return np.ones((height, width, 1), np.float32)
        x, y, size, _ = map(int, self.box)
        mask = np.full(gray.shape, cv2.GC_BGD, np.uint8)
        mask[max(0, y - size // 2) :, max(0, x - size) : x + 2 * size] = cv2.GC_PR_BGD
        mask[y + size :, max(0, x - size // 2) : x + size * 3 // 2] = cv2.GC_PR_FGD
        cv2.ellipse(mask, (x + size // 2, y + size // 2), (size // 2, size * 2 // 3), 0, 0, 360,
                    cv2.GC_FGD, -1)
        cv2.grabCut(small, mask, None, np.zeros((1, 65)), np.zeros((1, 65)), 2, cv2.GC_INIT_WITH_MASK)
        person = (mask & 1).astype(np.float32)
        return cv2.resize(cv2.blur(person, (3, 3)), (width, height))[..., None]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--from", dest="source", default="cam.in", help="the ring to take from")
    parser.add_argument("--to", default="cam.out", help="the ring to publish to")
    arguments = parser.parse_args()
    segment = Segmentation()
    with fl.Worker(arguments.source, arguments.to) as worker:
        signal.signal(signal.SIGTERM, lambda *_: worker.stop())
        for frame, out in worker:
            person = segment(frame)
            out[:] = person * frame + (1 - person) * cv2.blur(frame, (15, 15))


if __name__ == "__main__":
    main()
