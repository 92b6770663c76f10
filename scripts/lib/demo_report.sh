#!/usr/bin/env bash
# Checks what the demo recorded, puts a source frame beside its processed frame, and says how the
# stages did.
#
# usage: scripts/lib/demo_report.sh FOLDER     (with out.flv, in.nut, out.nut, in.json, out.json)
set -euo pipefail
cd "$1"

times_of() { # file
    ffprobe -v error -select_streams v:0 -show_entries packet=pts_time -of csv=p=0 "$1" | tr -d ,
}

check_stream() {
    local codec size
    codec=$(ffprobe -v error -select_streams v:0 -show_entries stream=codec_name -of csv=p=0 out.flv)
    size=$(ffprobe -v error -select_streams v:0 -show_entries stream=width,height -of csv=p=0:s=x out.flv)
    times_of out.flv >flv.times
    rate=$(awk 'NR == 1 { first = $1 } { last = $1 }
        END { if (NR < 2) exit 1; printf "%.1f", (NR - 1) / (last - first) }' flv.times)
    awk 'NR > 1 && $1 <= last { print "out of order at " $1 > "/dev/stderr"; exit 1 } { last = $1 }' flv.times
    [[ $codec == h264 ]] || { echo "the codec is $codec" >&2 && exit 1; }
    echo "demo: came out: $codec $size, $rate frames a second, $(wc -l <flv.times) frames in order (run/demo/out.flv)"
}

# The same moment before and after: frames of one time in the raw copies of both rings.
make_picture() {
    local common before after
    times_of in.nut >in.times
    times_of out.nut >out.times
    common=$(grep -Fxf in.times out.times | tail -n 1 || true)
    [[ -n $common ]] || { echo "the rings' copies have no time in common" >&2 && exit 1; }
    before=$(($(grep -nFx "$common" in.times | tail -n 1 | cut -d: -f1) - 1))
    after=$(($(grep -nFx "$common" out.times | tail -n 1 | cut -d: -f1) - 1))
    ffmpeg -nostdin -v error -y -i in.nut -i out.nut -filter_complex \
        "[0:v]select=eq(n\,$before),setpts=0,format=rgb24[a];[1:v]select=eq(n\,$after),setpts=0,format=rgb24[b];[a][b]hstack" \
        -frames:v 1 demo.png
    echo "demo: before and after: run/demo/demo.png (the frame of $common s)"
}

figures() {
    python3 - <<'EOF'
import json

def group(ring, name):
    return next((g for g in ring["groups"] if g["name"] == name), {})

taken, sent = (json.load(open(f"{side}.json")) for side in ("in", "out"))
drops = [sum(group(ring, name).get("dropped", {}).values())
         for ring, name in ((taken, "worker"), (sent, "pusher"))]
ages = [p["age"] for p in sent["participants"] if p.get("group") == "pusher" and p.get("age")]
age = f"{ages[0]['p50_ms']:.0f} ms (99 %: {ages[0]['p99_ms']:.0f} ms)" if ages else "unknown"
print(f"{group(sent, 'pusher').get('delivered', 0)} frames, from the wire to the encoder {age}, "
      f"dropped before the workers {drops[0]}, after them {drops[1]}")
EOF
}

check_stream
make_picture
echo "demo: $rate fps, $(figures)"
rm -f flv.times in.times out.times in.nut out.nut
