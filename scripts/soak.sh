#!/usr/bin/env bash
# Kills and stops the processes around two pairs of rings at random, for as long as you like, and
# writes a report.
#
# usage: make soak MINUTES=10     (SOAK_SEED=n: the same order of things again)
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh build
export SOAK_MINUTES=${MINUTES:-10} SOAK_REPORT=$PWD/run/soak/report.md
mkdir -p "$(dirname "$SOAK_REPORT")"
cargo test --locked --package e2e --test e2e -- soak::
cat "$SOAK_REPORT"
