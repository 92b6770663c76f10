# shellcheck shell=bash
# The background processes of one script: each has a log, and all of them end with the script.
# Sourced; wants $logs, the folder for the logs, and scripts/lib/wait.sh.

: "${logs:?is the folder for the logs}"
declare -A children=()
children_in_order=()

# start NAME COMMAND...: runs it in the background, its log in $logs/NAME.log.
start() {
    local name=$1
    shift
    "$@" </dev/null >"$logs/$name.log" 2>&1 &
    children[$name]=$!
    children_in_order+=("$name")
}

# runs NAME: whether it has not ended.
runs() {
    ! is_gone "${children[$1]}"
}

# stop NAME: ends it.
stop() {
    [[ -n ${children[$1]:-} ]] || return 0
    end_process "${children[$1]}"
    wait "${children[$1]}" 2>/dev/null || true
    unset "children[$1]"
}

# stop_all: ends all of them, the last one first.
stop_all() {
    local index
    for ((index = ${#children_in_order[@]} - 1; index >= 0; index--)); do
        stop "${children_in_order[index]}"
    done
}
