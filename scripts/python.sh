#!/usr/bin/env bash
# Builds the Python package as a wheel, with the stages in it, and installs it into .venv.
#
# usage: scripts/python.sh [release|debug]
#
#   release  what a user wants (the default)
#   debug    what the tests use: faster to build
#
# The wheel is in the target folder, in `wheels`.
set -euo pipefail
cd "$(dirname "$0")/.."

profile=${1:-release}
case $profile in
release) build=(--release) ;;
debug) build=() ;;
*)
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac

scripts/setup.sh python
target=$(scripts/lib/target_dir.sh)
venv=.venv
"$venv/bin/python" -c 'import maturin, pytest, pytest_timeout, xdist, mypy, numpy' 2>/dev/null ||
    "$venv/bin/pip" install --quiet --disable-pip-version-check \
        'maturin>=1.7,<2' numpy pytest pytest-timeout pytest-xdist mypy

cargo build --workspace --bins --locked "${build[@]}"
programs=crates/python/framelane.data/scripts
mkdir -p "$programs"
for program in puller worker pusher framelane; do
    cp "$target/$profile/$program" "$programs/"
    strip "$programs/$program"
done
rm -f "$target"/wheels/framelane-*.whl
"$venv/bin/maturin" build --quiet --locked "${build[@]}" \
    --manifest-path crates/python/Cargo.toml --interpreter "$venv/bin/python" \
    --out "$target/wheels"
"$venv/bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps \
    "$target"/wheels/framelane-*.whl
echo "python: installed $(basename "$target"/wheels/framelane-*.whl) into $venv" >&2
