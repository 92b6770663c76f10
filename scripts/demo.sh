#!/usr/bin/env bash
# The whole job on this machine: a real clip, published live in a loop to a local RTMP server, goes
# through puller, two workers and pusher, and comes out as another live stream, which is recorded
# and checked. Ends by itself and leaves nothing running. What it made stays in run/demo.
#
# usage: scripts/demo.sh     (WORKER=program: your own worker; DURATION=10: seconds to record)
set -euo pipefail
cd "$(dirname "$0")/.."

out=$PWD/run/demo
logs=$out/logs
rm -rf "$out"
mkdir -p "$logs"
source scripts/lib/wait.sh
source scripts/lib/children.sh
source scripts/lib/rtmp_server.sh
source scripts/lib/leftovers.sh
source scripts/lib/with_rings.sh

clean_up() {
    stop_all
    if [[ -x ${bin:-}/framelane ]]; then
        "$bin/framelane" gc >"$logs/gc.log" 2>&1 || true
    fi
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
    echo "demo: $1" >&2
    tail -n 5 "$logs"/{puller,worker-1,pusher}.log >&2 2>/dev/null || true
    exit 1
}

publish() {
    start publisher ffmpeg -nostdin -v warning -re -stream_loop -1 -i "$clip" -c copy \
        -flvflags no_duration_filesize -f flv "$rtmp_base/camera$suffix"
}

start_stages() {
    local number command=("$bin/worker" --op edges)
    # Words of WORKER are a program and its arguments.
    [[ -z ${WORKER:-} ]] || read -ra command <<<"$WORKER"
    with_rings cam.in cam.out "${command[@]}"
    start puller "$bin/puller" --input "$rtmp_base/camera$suffix" --ring cam.in
    for number in 1 2; do
        start "worker-$number" "${command[@]}"
    done
    start pusher "$bin/pusher" --ring cam.out --output "$output"
}

stream_is_there() {
    local stage
    for stage in puller worker-1 worker-2 pusher; do
        runs "$stage" || fail "$stage ended"
    done
    ffprobe -v quiet -rw_timeout 3000000 -show_streams "$output" | grep -q '^width='
}

# Two more readers, each in a group of its own, write the frames of both rings as they are. Frames
# keep their time through all stages, so those of one time belong together.
tap_rings() {
    local side
    for side in in out; do
        start "tap-$side" "$bin/pusher" --ring "cam.$side" --group demo --codec rawvideo \
            --output "$out/$side.nut"
    done
    wait_until 30 "frames of both rings" both_taps_have 80000000 || fail "no frames in the rings"
    stop tap-in
    stop tap-out
}

both_taps_have() {
    [[ $(stat -c %s "$out/in.nut" 2>/dev/null || echo 0) -gt $1 &&
        $(stat -c %s "$out/out.nut" 2>/dev/null || echo 0) -gt $1 ]]
}

# In the background, since a signal to this script waits for what is in the foreground.
record() {
    start recorder ffmpeg -nostdin -v error -y -rw_timeout 10000000 -i "$output" \
        -t "${DURATION:-10}" -c copy "$out/out.flv"
    wait "${children[recorder]}" || fail "the output broke off: $(tail -n 1 "$logs/recorder.log")"
}

check_nothing_is_left() {
    local left
    left=$(leftovers)
    [[ -z $left ]] || fail "$left"
    echo "demo: no process, port or segment was left behind"
}

clip=$(scripts/setup.sh demo && scripts/clip.sh)
[[ -n ${FRAMELANE_BIN_DIR:-} ]] || scripts/build.sh
bin=${FRAMELANE_BIN_DIR:-$(scripts/lib/target_dir.sh)/release}
export FRAMELANE_NAMESPACE=demo-$$
# An external server may have streams of others.
suffix=
[[ -z ${SRS_URL:-} ]] || suffix=-$$

start_rtmp_server "$out/server" || fail "no RTMP server"
output=$rtmp_base/processed$suffix
publish
start_stages
wait_until 60 "the processed stream" stream_is_there || fail "nothing comes out"
echo "demo: $clip through $rtmp_kind; watch it while it runs:"
echo "    ffplay -fflags nobuffer $output"
record
tap_rings
"$bin/framelane" stat cam.in --json >"$out/in.json" || fail "no figures"
"$bin/framelane" stat cam.out --json >"$out/out.json" || fail "no figures"
clean_up
scripts/lib/demo_report.sh "$out"

check_nothing_is_left
