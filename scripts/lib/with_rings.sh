# shellcheck shell=bash disable=SC2034
# Tells a worker its rings. Sourced.

# with_rings FROM TO WORD...: sets `command`, the words of a worker's command line with its rings.
# They come last, but before the program that our own worker runs.
with_rings() {
    local rings=(--from "$1" --to "$2") index
    shift 2
    for ((index = 1; index <= $#; index++)); do
        [[ ${!index} != --exec ]] || break
    done
    command=("${@:1:index-1}" "${rings[@]}" "${@:index}")
}
