"""PyAV: decoding, numpy and encoding in one process.

usage: pyav.py INPUT OUTPUT
"""

from __future__ import annotations

import sys

import av


def main(source: str, target: str) -> None:
    with av.open(source) as reader, av.open(target, "w", format="flv") as writer:
        pictures = reader.streams.video[0]
        pictures.thread_type = "AUTO"
        out = writer.add_stream("libx264", rate=pictures.average_rate, options={"preset": "veryfast"})
        out.width, out.height, out.pix_fmt = pictures.width, pictures.height, "yuv420p"
        for frame in reader.decode(pictures):
            array = frame.to_ndarray(format="rgb24")
            changed = av.VideoFrame.from_ndarray(array, format="rgb24")
            changed.pts, changed.time_base = frame.pts, frame.time_base
            writer.mux(out.encode(changed))
        writer.mux(out.encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
