#!/usr/bin/env bash
# Starts puller, workers and pusher in the background, each under a supervisor that starts it again
# when it dies. See also status, scale, restart, down.
#
# usage: make up INPUT=url OUTPUT=url [WORKERS=2] [OP=passthrough] [WORKER=program] [RING=cam]
#                [MAX_HOLD=30s]
#
# WORKER is your own worker, a program with its arguments; it is given --from RING.in --to RING.out,
# after them or before an --exec. A worker that has held one frame for longer than MAX_HOLD hangs: it
# is killed, and started again. It is known by its process id: let a wrapper `exec` it.
# make takes a $ for its own: write $$, or INPUT=url OUTPUT=url make up.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib/wait.sh
source scripts/lib/with_rings.sh
source scripts/lib/stages.sh

if [[ -z ${INPUT:-} || -z ${OUTPUT:-} ]]; then
    sed -n '5,11s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
if [[ -e $settings ]]; then
    echo "up: something is up already: make status, make down" >&2
    exit 1
fi

workers=${WORKERS:-2}
[[ $workers =~ ^[1-9][0-9]?$ ]] || { echo "up: WORKERS is 1 to 99, not '$workers'" >&2 && exit 2; }
op=${OP:-passthrough} worker=${WORKER:-} ring=${RING:-cam} max_hold=${MAX_HOLD:-30s}
namespace=${FRAMELANE_NAMESPACE:-}
[[ -n ${FRAMELANE_BIN_DIR:-} ]] || scripts/build.sh
bin=$(bin_folder)
# Nothing is there yet; but what makes no sense, it says now.
"$bin/framelane" check "$ring.in" --max-hold "$max_hold" >/dev/null 2>&1 || (($? != 2)) || {
    "$bin/framelane" check "$ring.in" --max-hold "$max_hold"
    exit 2
}

mkdir -p "$stages"
save_settings op worker ring max_hold namespace bin
start_stage pusher "$bin/pusher" --ring "$ring.out" --output "$OUTPUT"
for ((number = 1; number <= workers; number++)); do
    start_worker "$number"
done
start_stage puller "$bin/puller" --input "$INPUT" --ring "$ring.in"
echo "up: logs are in $stages/*/log; next: make status, make scale WORKERS=n, make down"
