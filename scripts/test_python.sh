#!/usr/bin/env bash
# Builds the Python package, installs it, and runs its tests.
#
# usage: scripts/test_python.sh [PYTEST_ARGUMENT...]
#
# With Debian's PyTorch (`scripts/setup.sh torch`) its tests run, too; the one on PyPI takes
# gigabytes.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh test
scripts/python.sh debug
target=$(scripts/lib/target_dir.sh)
.venv/bin/python -c 'import cv2, PIL; cv2.CascadeClassifier' 2>/dev/null ||
    .venv/bin/pip install --quiet --disable-pip-version-check \
        'opencv-python-headless<5' pillow
pytest=(-m pytest -q -p no:cacheprovider -c crates/python/pyproject.toml --rootdir tests/python)
PYTHONDONTWRITEBYTECODE=1
export PYTHONDONTWRITEBYTECODE

# Most tests wait for a stream most of the time.
if [[ $# == 0 ]]; then
    .venv/bin/python "${pytest[@]}" -n 6 tests/python
else
    .venv/bin/python "${pytest[@]}" "$@"
fi

if [[ $# == 0 ]] && /usr/bin/python3 -c 'import torch' 2>/dev/null; then
    echo "== with the system's PyTorch" >&2
    venv=$target/torch
    [[ -x $venv/bin/python ]] || /usr/bin/python3 -m venv --system-site-packages "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check pytest pytest-timeout
    "$venv/bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps \
        "$target"/wheels/framelane-*.whl
    "$venv/bin/python" "${pytest[@]}" tests/python/test_torch.py tests/python/test_arrays.py
else
    echo "== Debian's PyTorch is not here: PyTorch's tests are skipped" >&2
fi
