#!/usr/bin/env bash
# Adds or removes workers while frames flow, until there are WORKERS of them.
#
# usage: make scale WORKERS=n
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib/wait.sh
source scripts/lib/with_rings.sh
source scripts/lib/stages.sh

wanted=${WORKERS:-}
[[ $wanted =~ ^[0-9]{1,2}$ ]] || { echo "usage: make scale WORKERS=n, 0 to 99" >&2 && exit 2; }
wanted=$((10#$wanted))
load_settings || exit 1

for ((number = 1; number <= wanted; number++)); do
    is_supervised "worker-$number" && continue
    end_stray "worker-$number"
    start_worker "$number"
done
for name in $(worker_names); do
    ((${name#worker-} <= wanted)) || stop_stage "$name"
done
echo "scale: $wanted workers"
