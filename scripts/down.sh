#!/usr/bin/env bash
# Stops the stages, the puller first so that what is in the rings still comes out, and removes the
# rings.
#
# usage: make down
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib/wait.sh
source scripts/lib/stages.sh

load_settings || exit 1
for name in $(all_names); do
    stop_stage "$name"
done
"$bin/framelane" gc || echo "down: some rings may be left: framelane ls" >&2
rm -f "$settings"
rmdir "$stages"
echo "down: all stages have stopped"
