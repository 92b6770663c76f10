"""Blurs the background and keeps what moves sharp: OpenCV's mixture of Gaussians as segmentation.

usage: python blur.py --from cam.in --to cam.out        (pip install framelane 'opencv-python<5')
"""

import argparse
import signal

import cv2
import framelane as fl


class Segmentation:
    """Tells foreground from background, for a camera that stands still."""

    def __init__(self):
        self.model = cv2.createBackgroundSubtractorMOG2(history=100, detectShadows=False)
        self.kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))

    def __call__(self, frame):
        """A mask that is 255 where the foreground is."""
        mask = self.model.apply(frame)
        mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, self.kernel[2:7, 2:7])
        return cv2.dilate(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, self.kernel), self.kernel)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--from", dest="source", default="cam.in", help="the ring to take from")
    parser.add_argument("--to", default="cam.out", help="the ring to publish to")
    arguments = parser.parse_args()
    segment = Segmentation()
    with fl.Worker(arguments.source, arguments.to) as worker:
        signal.signal(signal.SIGTERM, lambda *_: worker.stop())
        for frame, out in worker:
            mask = segment(frame)
            cv2.blur(frame, (21, 21), dst=out)
            cv2.copyTo(frame, mask, out)


if __name__ == "__main__":
    main()
