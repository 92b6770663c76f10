#!/usr/bin/env bash
# Keeps one stage running: starts it again, a second later, when it dies. Ends when the stage has
# come to the end of its stream, when its command line is wrong, or when told to with TERM.
#
# usage: [HANG_CHECK=command] scripts/lib/supervise.sh FOLDER COMMAND...
#
# HANG_CHECK, a command quoted for the shell, gets the stage's process id as its last argument, and
# ends with status 9 when the stage hangs: then the stage is killed.
#
# In FOLDER: lock (held while this lives), supervisor and pid (process ids), started (seconds),
# restarts (a count), state, log. A file `again` there means that the next end is a restart.
set -uo pipefail

readonly folder=$1 bad_usage=2 unhealthy=9
shift
hang_check=()
eval "hang_check=(${HANG_CHECK:-})"
unset HANG_CHECK
child=
stopping=

exec 9>"$folder/lock"
# Whoever asks for the status holds the lock for an instant.
flock -w 5 9 || { echo "supervise: $folder has a supervisor already" >&2 && exit 1; }
echo $$ >"$folder/supervisor"
echo 0 >"$folder/restarts"
rm -f "$folder/again"

trap 'stopping=1; [[ -z $child ]] || kill -TERM "$child" 2>/dev/null' TERM INT

run_once() {
    # A request that came when the stage had just died is fulfilled now.
    rm -f "$folder/again"
    # The lock is the supervisor's: a stage that outlives it must not hold it.
    "$@" </dev/null >>"$folder/log" 2>&1 9>&- &
    child=$!
    [[ -z $stopping ]] || kill -TERM "$child" 2>/dev/null
    echo "$child" >"$folder/pid"
    date +%s >"$folder/started"
    echo running >"$folder/state"
    local watcher=
    if ((${#hang_check[@]} > 0)); then
        watch_for_hangs "$child" 9>&- &
        watcher=$!
    fi
    # A trap interrupts the wait; then the child still runs.
    while :; do
        wait "$child"
        status=$?
        kill -0 "$child" 2>/dev/null || break
    done
    [[ -z $watcher ]] || kill "$watcher" 2>/dev/null
    child=
    rm -f "$folder/pid"
}

# watch_for_hangs PID: kills the stage when the check says that it hangs, for as long as stage and
# supervisor live.
watch_for_hangs() {
    while sleep 2 && kill -0 "$1" 2>/dev/null && kill -0 $$ 2>/dev/null; do
        "${hang_check[@]}" "$1" >/dev/null 2>&1
        if [[ $? == "$unhealthy" ]]; then
            say "hangs: killed"
            kill -KILL "$1"
        fi
    done
}

say() {
    echo "$(date +%FT%T) supervise: $1" >>"$folder/log"
}

while :; do
    run_once "$@"
    if [[ -n $stopping ]]; then
        echo stopped >"$folder/state"
        exit 0
    elif [[ -e $folder/again ]]; then
        rm -f "$folder/again"
        say "restarted on request"
    elif [[ $status == 0 ]]; then
        echo ended >"$folder/state"
        say "came to its end"
        exit 0
    elif [[ $status == "$bad_usage" ]]; then
        echo "wrong command line" >"$folder/state"
        say "gave up: its command line is wrong"
        exit "$bad_usage"
    else
        echo "died with $status" >"$folder/state"
        say "died with status $status"
        sleep 1 9>&- &
        wait $!
        [[ -z $stopping ]] || exit 0
    fi
    echo $(($(cat "$folder/restarts") + 1)) >"$folder/restarts"
done
