#!/usr/bin/env bash
# Shows that sound and pictures stay together through the stages: a clip with a flash and a beep
# every second is published live to a local RTMP server, goes through puller, workers and pusher,
# and is recorded before and behind them. Ends with status 1 when a beep has moved against its
# pictures by more than one frame interval. Leaves nothing running; recordings stay in run/sync.
#
# usage: scripts/sync_report.sh     (DURATION=30: seconds for each case; CASES="plain killed")
#
#   plain      one worker that copies the frames
#   slow       three workers that take 300 ms for each frame
#   dropped    one worker that takes 100 ms, so that frames are dropped
#   killed     two workers, one of them killed every 1.5 s, and replaced
#   restarted  the puller killed every 5 s, and replaced
#
# SYNC_FOLDER=run/sync: another folder for what it makes.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${SYNC_FOLDER:-$PWD/run/sync}
logs=$out/logs
read -ra cases <<<"${CASES:-plain slow dropped killed restarted}"
readonly duration=${DURATION:-30}
source scripts/lib/wait.sh
source scripts/lib/children.sh
source scripts/lib/rtmp_server.sh
source scripts/lib/leftovers.sh

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
    echo "sync: $1" >&2
    exit 1
}

publish() {
    start "$case-publisher" ffmpeg -nostdin -v warning -re -i "$clip" -c copy \
        -flvflags no_duration_filesize -f flv "$rtmp_base/$stream"
}

# record SIDE STREAM: from its first frame on, so that each frame that comes out is found. Sound may
# come seconds before the key frame that pictures begin with; nothing of it is lost by waiting.
record() {
    start "$case-recorder-$1" ffmpeg -nostdin -v error -y -rw_timeout 20000000 \
        -analyzeduration 5000000 -i "$rtmp_base/$2" -c copy -flush_packets 1 -f flv "$out/$case.$1.flv"
}

start_puller() {
    start "$case-puller" "$bin/puller" --input "$rtmp_base/$stream" --ring cam.in
}

start_worker() { # number, option...
    local number=$1
    shift
    start "$case-worker-$number" "$bin/worker" --from cam.in --to cam.out "$@"
}

# What the workers made, and nothing in its place, is what is measured.
start_pusher() {
    start "$case-pusher" "$bin/pusher" --ring cam.out --output "$rtmp_base/$stream-out" \
        --on-starve none
}

# kill_now NAME: with SIGKILL, as the kernel does that is out of memory.
kill_now() {
    kill -KILL "${children[$1]}"
    # Else bash has something to say about it.
    wait "${children[$1]}" 2>/dev/null || true
    unset "children[$1]"
}

has_recorded() { # side
    [[ $(stat -c %s "$out/$case.$1.flv" 2>/dev/null || echo 0) -gt 4000 ]]
}

start_workers() {
    case $case in
    slow)
        for number in 1 2 3; do start_worker "$number" --delay 300ms; done
        ;;
    dropped) start_worker 1 --delay 100ms ;;
    killed)
        for number in 1 2; do start_worker "$number" --delay 30ms; done
        ;;
    *) start_worker 1 ;;
    esac
}

# What happens while it is recorded. In the background, since a signal to this script waits for
# what is in the foreground.
live_through() {
    local number=0 end=$((SECONDS + duration))
    case $case in
    killed)
        while ((SECONDS < end)); do
            number=$((number % 2 + 1))
            kill_now "$case-worker-$number"
            pause 0.5
            start_worker "$number" --delay 30ms
            pause 1
        done
        ;;
    restarted)
        for ((number = 0; number < duration / 5; number++)); do
            pause 2
            kill_now "$case-puller"
            pause 0.5
            start_puller
            pause 2.5
        done
        pause "$((duration % 5))"
        ;;
    *) pause "$duration" ;;
    esac
}

pause() {
    sleep "$1" &
    wait $!
}

run_case() {
    local case=$1 stream=$1$suffix name
    echo "sync: $case, $duration s" >&2
    publish
    record in "$stream"
    wait_until 20 "the source's recording" has_recorded in || fail "see $logs/$case-*.log"
    start_pusher
    start_workers
    start_puller
    record out "$stream-out"
    wait_until 30 "the output's recording" has_recorded out || fail "see $logs/$case-*.log"
    live_through
    for name in recorder-out recorder-in publisher puller worker-1 worker-2 worker-3 pusher; do
        stop "$case-$name"
    done
    "$bin/framelane" gc >"$logs/gc.log" 2>&1 || true
}

for case in "${cases[@]}"; do
    [[ $case =~ ^(plain|slow|dropped|killed|restarted)$ ]] || {
        sed -n '2,16s/^# \{0,1\}//p' "$0" >&2
        exit 2
    }
done
rm -rf "$out"
mkdir -p "$logs"
scripts/setup.sh demo
[[ -n ${FRAMELANE_BIN_DIR:-} ]] || scripts/build.sh
bin=${FRAMELANE_BIN_DIR:-$(scripts/lib/target_dir.sh)/release}
export FRAMELANE_NAMESPACE=sync-$$
# An external server may have streams of others.
suffix=
[[ -z ${SRS_URL:-} ]] || suffix=-$$

clip=$out/clip.flv
python3 scripts/lib/sync_clip.py $((duration + 40)) "$clip"
start_rtmp_server "$out/server" || fail "no RTMP server"
echo "sync: through $rtmp_kind" >&2
for case in "${cases[@]}"; do
    run_case "$case"
done
clean_up
status=0
python3 scripts/lib/sync_measure.py "$out" "${cases[@]}" || status=$?
left=$(leftovers)
[[ -z $left ]] || fail "$left"
[[ $status == 0 ]]
