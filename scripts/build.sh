#!/usr/bin/env bash
# Builds the release binaries: puller, worker, pusher, framelane.
#
# usage: scripts/build.sh
#
# LIBAV=1   with ffmpeg's libraries in the puller, for `puller --decoder libav`
set -euo pipefail
cd "$(dirname "$0")/.."

features=()
if [[ ${LIBAV:-} == 1 ]]; then
    scripts/setup.sh libav
    features=(--features framelane-puller/libav)
else
    scripts/setup.sh build
fi
cargo build --release --workspace --bins --locked "${features[@]}"
