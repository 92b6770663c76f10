#!/usr/bin/env bash
# Stops the stages, each when it has finished the frame in hand, and removes their rings with whatever
# is still in them.
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
# What somebody else still uses is kept, and said.
"$bin/framelane" gc "$ring".{in,out,audio} | grep '^kept' >&2 || true
rm -f "$settings" "$environment"
rmdir "$stages"
echo "down: all stages have stopped"
