# shellcheck shell=bash
# Waiting for conditions. Sourced by the lanes.

# wait_until SECONDS WHAT COMMAND...: until the command succeeds; fails when the time is over.
wait_until() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        if ((SECONDS >= deadline)); then
            [[ -n $what ]] && echo "waited in vain for $what" >&2
            return 1
        fi
        sleep 0.1
    done
}

# is_gone PID: whether the process has ended, be it not yet waited for by its parent.
is_gone() {
    ! kill -0 "$1" 2>/dev/null || grep -qs '^State:.Z' "/proc/$1/status"
}

# end_process PID: TERM, and KILL after 5 s; returns when it has ended.
end_process() {
    is_gone "$1" && return 0
    kill -TERM "$1" 2>/dev/null || true
    wait_until 5 "" is_gone "$1" || kill -KILL "$1" 2>/dev/null || true
    wait_until 5 "the end of process $1" is_gone "$1"
}
