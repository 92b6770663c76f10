#!/usr/bin/env bash
# Builds the release binaries: puller, worker, pusher, framelane.
#
# usage: scripts/build.sh
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh build
cargo build --release --workspace --bins --locked
