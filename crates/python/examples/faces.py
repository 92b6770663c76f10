"""Draws a box around every face: OpenCV's Haar cascade, whose weights come with OpenCV.

usage: python faces.py --from cam.in --to cam.out       (pip install framelane 'opencv-python<5')
"""

import argparse
import json
import signal

import cv2
import framelane as fl


def detector():
    """A function from a frame to the boxes of its faces, as (left, top, width, height)."""
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")

    def detect(frame):
        gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        smallest = max(24, min(gray.shape) // 8)
        found = cascade.detectMultiScale(gray, 1.1, 5, minSize=(smallest, smallest))
        return [tuple(map(int, box)) for box in found]

    return detect


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--from", dest="source", default="cam.in", help="the ring to take from")
    parser.add_argument("--to", default="cam.out", help="the ring to publish to")
    arguments = parser.parse_args()
    detect = detector()
    with fl.Worker(arguments.source, arguments.to) as worker:
        signal.signal(signal.SIGTERM, lambda *_: worker.stop())
        for frame, out in worker:
            boxes = detect(frame)
            out[:] = frame
            for left, top, width, height in boxes:
                cv2.rectangle(out, (left, top), (left + width, top + height), (0, 255, 0), 2)
            # What a later worker, a recorder or a database may want to know.
            out.meta = json.dumps({"faces": boxes}).encode()


if __name__ == "__main__":
    main()
