#!/usr/bin/env bash
# Stops a stage and starts it again while frames flow.
#
# usage: make restart STAGE=puller|worker|worker-N|pusher     (worker: all of them, one by one)
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib/wait.sh
source scripts/lib/stages.sh

stage=${STAGE:-}
[[ $stage =~ ^(puller|pusher|worker(-[0-9]+)?)$ ]] || {
    sed -n '4s/^# //p' "$0" >&2
    exit 2
}
load_settings || exit 1

is_another() { # stage, process id
    local pid
    pid=$(cat "$stages/$1/pid" 2>/dev/null) && [[ $pid != "$2" ]]
}

restart() {
    local pid
    is_supervised "$1" || { echo "restart: $1 is not up" >&2 && exit 1; }
    # One that has just died is started again in a moment.
    wait_until 5 "the process of $1" test -s "$stages/$1/pid"
    pid=$(cat "$stages/$1/pid")
    touch "$stages/$1/again"
    end_process "$pid"
    wait_until 10 "the new $1" is_another "$1" "$pid"
    echo "restart: $1, process $pid is now $(cat "$stages/$1/pid")"
}

names=$stage
[[ $stage != worker ]] || names=$(worker_names)
for name in $names; do
    restart "$name"
done
