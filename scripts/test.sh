#!/usr/bin/env bash
# Sets up what is missing and runs the tests: units, rings, whole chains of real processes, and the
# Python package.
#
# usage: scripts/test.sh [all|server|libav]
#
#   all      every test (the default)
#   server   only those for which it matters which RTMP server it is, to run them with another one
#   libav    those of the libraries in the puller, and of cameras that come and go, with them
#
# FRAMELANE_TEST_SERVER=nginx|srs   the server that the tests start (SRS: SRS_HOME or the path)
# SRS_URL=rtmp://host[:port][/app]  a running SRS instead, its API at port 1985
# FRAMELANE_TEST_PATIENCE=n         multiplies the watchdogs on a slow machine
# FRAMELANE_TEST_LONG=1             watches live streams and outages for longer
set -euo pipefail
cd "$(dirname "$0")/.."

# The modules of tests/e2e for which it matters.
readonly server_modules=(chaos harness live restart sync)
readonly libav_modules=(libav reconnects)

scripts/setup.sh test
# The tests start these; built once here, each test finds them up to date. Always as part of the
# whole workspace: what one package alone would need of a dependency is another build of it.
features=()
if [[ ${1:-all} == libav ]]; then
    scripts/setup.sh libav
    features=(--features framelane-puller/libav)
    export FRAMELANE_DECODER=libav
fi
# The C examples are linked with a library.
cargo build --workspace --lib --bins --locked "${features[@]}"
# The victim of the crash tests has failpoints, which nothing else is to have.
cargo build --workspace --bin peer --features e2e/failpoints --locked
FRAMELANE_BIN_DIR=$(scripts/lib/target_dir.sh)/debug
export FRAMELANE_BIN_DIR

if cargo nextest --version >/dev/null 2>&1; then
    runner=(cargo nextest run --locked)
else
    echo "test: no cargo-nextest here, running cargo test" >&2
    runner=(cargo test --locked)
fi

# run_modules MODULE...: runs those of the end-to-end tests, the ignored ones, too.
run_modules() {
    if [[ ${runner[1]} == nextest ]]; then
        local modules
        modules=$(IFS='|' && echo "$*")
        "${runner[@]}" --workspace --test e2e --run-ignored all -E "test(/^($modules)::/)"
    else
        "${runner[@]}" --workspace --test e2e -- --include-ignored "${@/%/::}"
    fi
}

case ${1:-all} in
all)
    "${runner[@]}" --workspace
    scripts/test_python.sh
    ;;
server) run_modules "${server_modules[@]}" ;;
libav)
    # Of this package alone: with the feature, the tests of all others would be built once more.
    "${runner[@]}" --package framelane-media --lib --features libav libav
    run_modules "${libav_modules[@]}"
    ;;
*)
    sed -n '2,14s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
