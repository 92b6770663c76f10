#!/usr/bin/env bash
# Runs the fuzz targets: hostile bytes for the NUT reader, the ffprobe parser and the ring.
#
# usage: make fuzz FUZZ_SECONDS=30 [FUZZ_TARGET=ring_header]
#        scripts/fuzz.sh [SECONDS]   each target for so long
#
# Needs a C++ compiler, and nothing else: the targets are built with the stable compiler as
# cargo-fuzz would build them. New inputs and findings are left in run/fuzz; the kept ones are in
# tests/fuzz/corpus, and `cargo test` plays them, too.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-${FUZZ_SECONDS:-30}}
read -ra targets <<<"${FUZZ_TARGET:-nut_reader ffprobe_json ring_header ring_scribble}"
folder=run/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')
target_dir=$(scripts/lib/target_dir.sh)/fuzz

scripts/setup.sh fuzz
# Coverage and the address sanitizer, as options of the compiler. A target that is named keeps
# them away from build scripts.
flags=(-Cpasses=sancov-module -Zsanitizer=address --cfg fuzzing)
for option in level=4 inline-8bit-counters pc-table trace-compares; do
    flags+=("-Cllvm-args=-sanitizer-coverage-$option")
done
RUSTC_BOOTSTRAP=1 RUSTFLAGS="${flags[*]}" cargo build --release --locked \
    --manifest-path tests/fuzz/Cargo.toml --target "$host" --target-dir "$target_dir"

# A target that crashes leaves its segments: they have a namespace of their own.
export FRAMELANE_NAMESPACE=fuzz-$$
remove_segments() { rm -f "/dev/shm/$FRAMELANE_NAMESPACE."* "/dev/shm/.$FRAMELANE_NAMESPACE."*; }
trap remove_segments EXIT

failed=()
for target in "${targets[@]}"; do
    echo "== $target, for $seconds s" >&2
    program=$target_dir/$host/release/$target
    mkdir -p "$folder/$target"
    log=$folder/$target.log
    # A join may wait some seconds for what a broken peer never finishes, so 20 s are no hang.
    "$program" "$folder/$target" "tests/fuzz/corpus/$target" -max_total_time="$seconds" \
        -timeout=20 -rss_limit_mb=2048 -max_len=16384 -artifact_prefix="$folder/$target-" \
        -print_final_stats=1 >"$log" 2>&1 || failed+=("$target")
    grep -E '^(Done |INITED|stat::new_units_added)|ERROR|panicked|Test unit written' "$log" >&2 || true
done

for target in "${failed[@]}"; do
    echo "fuzz: $target has found something, see $folder/$target.log; once more with:" >&2
    for input in "$folder/$target"-*; do
        echo "    FRAMELANE_NAMESPACE=fuzz $target_dir/$host/release/$target $input" >&2
    done
done
((${#failed[@]} == 0))
