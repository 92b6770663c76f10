#!/usr/bin/env bash
# Shows the stages that are up, and their rings.
#
# usage: make status
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib/wait.sh
source scripts/lib/stages.sh

load_settings || exit 1

read_or() { # file, what to say without it
    cat "$1" 2>/dev/null || echo "$2"
}

show() {
    local folder=$stages/$1 state uptime=-
    state=$(read_or "$folder/state" unknown)
    if ! is_supervised "$1" && [[ $state == running ]]; then
        state="without supervisor"
    elif [[ $state == running ]]; then
        uptime=$(($(date +%s) - $(cat "$folder/started")))s
    fi
    printf '%-12s %8s %8s %8s  %s\n' "$1" "$(read_or "$folder/pid" -)" "$uptime" \
        "$(read_or "$folder/restarts" 0)" "$state"
}

printf '%-12s %8s %8s %8s  %s\n' stage pid uptime restarts state
for name in $(all_names); do
    show "$name"
done
echo
"$bin/framelane" ls || true
for side in in out; do
    "$bin/framelane" stat "$ring.$side" 2>/dev/null || true
done
