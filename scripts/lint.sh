#!/usr/bin/env bash
# Checks format, clippy, rustdoc and, where shellcheck and cargo-deny are installed, the scripts and
# what the project depends on.
#
# usage: scripts/lint.sh
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh build
cargo fmt --all --check
cargo clippy --workspace --all-targets --locked -- -D warnings
cargo clippy --workspace --bin peer --features e2e/failpoints --locked -- -D warnings
if pkg-config --exists libavfilter libavformat libavcodec libavutil 2>/dev/null; then
    cargo clippy --package framelane-puller --features libav --all-targets --locked -- -D warnings
else
    echo "lint: no headers of ffmpeg's libraries here, what uses them was not checked" >&2
fi
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet
if command -v shellcheck >/dev/null; then
    shellcheck --external-sources --source-path=SCRIPTDIR scripts/*.sh scripts/lib/*.sh .ci/run
else
    echo "lint: no shellcheck here, the scripts were not checked" >&2
fi
if cargo deny --version >/dev/null 2>&1; then
    cargo deny --workspace --locked --offline check bans licenses sources
else
    echo "lint: no cargo-deny here, licences and sources of crates were not checked" >&2
fi
