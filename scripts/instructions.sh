#!/usr/bin/env bash
# Counts the instructions that the ring takes for a frame, by valgrind: a number that does not
# depend on what else the machine does. Ends with status 1 when one is more than 5 % above what
# tests/instructions/baseline.txt says, if that was counted with the same compiler.
#
# usage: scripts/instructions.sh [--set]
#
#   --set   writes the baseline anew
#
#   hop     source → consumer
#   relay   source → worker → consumer in order: the way through the three stages
set -euo pipefail
cd "$(dirname "$0")/.."

[[ $# == 0 || $* == --set ]] || {
    sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
    exit 2
}
readonly baseline=tests/instructions/baseline.txt few=200 many=1200
scripts/setup.sh instructions
target=$(scripts/lib/target_dir.sh)/instructions
# Valgrind hides the kernel's vDSO, which rustix would look for.
RUSTFLAGS=--cfg=rustix_use_libc cargo build --quiet --release --locked \
    --package instructions --target-dir "$target"
export FRAMELANE_NAMESPACE=instructions-$$
trap 'rm -f "/dev/shm/$FRAMELANE_NAMESPACE."*' EXIT

total() { # path, frames
    local said
    said=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null \
        "$target/release/instructions" "$1" "$2" 2>&1) || {
        echo "$said" >&2
        return 1
    }
    sed -n 's/.*Collected : //p' <<<"$said"
}

compiler=$(rustc --version)
counted=()
for path in hop relay; do
    # Two runs, so that starting and ending don't count.
    less=$(total "$path" "$few")
    more=$(total "$path" "$many")
    counted+=("$path $(((more - less) / (many - few)))")
done
if [[ $* == --set ]]; then
    printf '%s\n' "# Instructions for each frame; $compiler" "${counted[@]}" >"$baseline"
    cat "$baseline" >&2
    exit
fi

status=0
for line in "${counted[@]}"; do
    read -r path count <<<"$line"
    before=$(sed -n "s/^$path //p" "$baseline")
    echo "$path: $count instructions a frame, $before before" >&2
    ((count * 100 <= before * 105)) || status=1
done
if [[ $(head -n 1 "$baseline") != *"$compiler" ]]; then
    echo "instructions: counted before with another compiler: nothing is concluded" >&2
elif [[ $status != 0 ]]; then
    echo "instructions: more than 5 % above before; if it is worth it, scripts/instructions.sh --set" >&2
    exit 1
fi
