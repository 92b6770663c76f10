#!/usr/bin/env bash
# Measures Framelane beside what users would pick instead, all on this machine and in turns, and
# puts the tables and plots into docs/benchmarks.md. Takes about 40 minutes; leave the machine alone
# meanwhile.
#
# usage: scripts/bench.sh [PART...]     (ROUNDS=5; SLOW_SECONDS=600)
#
#   hop      the time from process to process, waiting and busy
#   frames   frames a second from process to process, in Rust and in Python
#   workers  1 to 16 workers whose model waits
#   job      a file through the whole chain: time, memory, many streams side by side
#   latency  a live stream through an RTMP server
#   slow     the same with a model that is too slow
#   loop     what a loop over frames costs in Python
#
# GStreamer takes part where it is installed (gstreamer1.0-tools, and its plugins of all kinds).
set -euo pipefail
cd "$(dirname "$0")/.."

readonly rounds=${ROUNDS:-5} slow_seconds=${SLOW_SECONDS:-600}
read -ra parts <<<"${*:-hop frames workers job latency slow loop}"

scripts/setup.sh test
target=$(scripts/lib/target_dir.sh)
results=$target/bench/results
mkdir -p "$results"
LIBAV=1 scripts/build.sh
cp "$target/release/puller" "$target/bench/puller-libav"
scripts/build.sh
scripts/python.sh release
(cd tests/bench && cargo build --release --locked --target-dir "$target/bench")
bench=$target/bench/release/bench
python=$target/bench/venv/bin/python
[[ -x $python ]] || python3 -m venv "$target/bench/venv"
"$python" -m pip install --quiet --disable-pip-version-check numpy av matplotlib
"$python" -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps \
    "$target"/wheels/framelane-*.whl

export FRAMELANE_BIN_DIR=$target/release BENCH_PYTHON=$python FRAMELANE_NAMESPACE=bench-$$
clean_up() {
    "$FRAMELANE_BIN_DIR/framelane" gc >/dev/null 2>&1 || true
    # What other systems leave.
    rm -rf /dev/shm/iox2_* /dev/shm/shmpipe.* /tmp/iceoryx2
}
trap clean_up EXIT

measure() {
    case $1 in
    hop)
        "$bench" hop --rounds "$rounds"
        "$bench" hop --busy --rounds "$rounds"
        ;;
    frames)
        # Copies of memory take longer and shorter for no reason that shows: more rounds.
        "$bench" throughput --rounds $((2 * rounds + 1))
        "$python" tests/bench/python/frames.py --rounds $((2 * rounds + 1))
        ;;
    workers) "$bench" workers --rounds "$rounds" ;;
    job)
        "$python" tests/bench/python/whole_job.py --clip "$(scripts/clip.sh)" \
            --bin "$FRAMELANE_BIN_DIR" --libav-puller "$target/bench/puller-libav" --rounds "$rounds"
        ;;
    latency) "$bench" live --rounds "$rounds" ;;
    slow) "$bench" slow --seconds "$slow_seconds" ;;
    loop) "$python" tests/bench/python/loop_cost.py --bench "$bench" --rounds "$rounds" ;;
    *)
        sed -n '2,17s/^# \{0,1\}//p' "$0" >&2
        exit 2
        ;;
    esac
}

for part in "${parts[@]}"; do
    echo "== $part" >&2
    measure "$part" 2>"$results/$part.log" >"$results/$part.new" || {
        tail "$results/$part.log" >&2
        exit 1
    }
    mv "$results/$part.new" "$results/$part.jsonl"
done
"$python" tests/bench/python/report.py "$results" docs/benchmarks.md docs/images
echo "bench: see docs/benchmarks.md" >&2
