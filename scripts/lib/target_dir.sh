#!/usr/bin/env bash
# Prints the folder that cargo builds into.
#
# usage: scripts/lib/target_dir.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo metadata --format-version 1 --no-deps --locked --offline |
    sed -E 's/.*"target_directory":"([^"]*)".*/\1/'
