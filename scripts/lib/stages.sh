# shellcheck shell=bash disable=SC2034
# The stages that `make up` started: one folder each under run/stages, with a supervisor in it.
# Sourced by up, status, scale, restart and down; wants scripts/lib/wait.sh.

# Somewhere else for a second set of stages, which also wants a FRAMELANE_NAMESPACE of its own.
readonly run=${FRAMELANE_RUN_DIR:-$PWD/run}
readonly stages=$run/stages
readonly settings=$run/settings

# bin_folder: where the binaries are.
bin_folder() {
    echo "${FRAMELANE_BIN_DIR:-$(scripts/lib/target_dir.sh)/release}"
}

# save_settings NAME...: keeps variables of `up` for the other lanes.
save_settings() {
    local name
    for name in "$@"; do
        printf '%s=%q\n' "$name" "${!name}"
    done >"$settings"
}

# load_settings: those variables again; fails when nothing is up.
load_settings() {
    if [[ ! -e $settings ]]; then
        echo "nothing is up: start it with make up INPUT=... OUTPUT=..." >&2
        return 1
    fi
    # shellcheck source=/dev/null
    source "$settings"
    export FRAMELANE_NAMESPACE=${namespace:-}
}

# worker_names: the workers that were started, by their numbers.
worker_names() {
    find "$stages" -maxdepth 1 -name 'worker-*' -printf '%f\n' | sort -t- -k2n
}

# all_names: every stage that was started, in the order of the stream.
all_names() {
    local name
    for name in puller $(worker_names) pusher; do
        [[ ! -d $stages/$name ]] || echo "$name"
    done
}

# is_supervised STAGE: whether its supervisor lives. The kernel says so, by the lock.
is_supervised() {
    [[ -e $stages/$1/lock ]] && ! flock -n "$stages/$1/lock" true
}

# start_stage NAME COMMAND...: starts it under a supervisor of its own.
start_stage() {
    local name=$1
    shift
    mkdir -p "$stages/$name"
    rm -f "$stages/$name/started"
    setsid scripts/lib/supervise.sh "$stages/$name" "$@" </dev/null >/dev/null 2>>"$stages/$name/log" &
    wait_until 10 "the start of $name" test -e "$stages/$name/started"
}

# start_worker NUMBER: by the settings.
start_worker() {
    local command=("$bin/worker" --op "$op")
    # Words of WORKER are a program and its arguments.
    [[ -z $worker ]] || read -ra command <<<"$worker"
    HANG_CHECK="$bin/framelane check ${ring:?}.in --max-hold ${max_hold:-30s} --pid" \
        start_stage "worker-$1" "${command[@]}" --from "${ring:?}.in" --to "${ring:?}.out"
}

# stop_stage NAME: TERM to its supervisor, which passes it on; KILL after 5 s.
stop_stage() {
    local folder=$stages/$1 pid
    if is_supervised "$1"; then
        pid=$(cat "$folder/supervisor")
        kill -TERM "$pid" 2>/dev/null || true
        if ! wait_until 5 "" is_gone "$pid"; then
            kill -KILL "$(cat "$folder/pid")" 2>/dev/null || true
            wait_until 5 "the end of $1" is_gone "$pid"
        fi
    elif pid=$(cat "$folder/pid" 2>/dev/null) && is_stage "$1" "$pid"; then
        # Somebody killed its supervisor.
        end_process "$pid"
    fi
    rm -rf "${folder:?}"
}

# is_stage NAME PID: whether that process is this stage, and no later one with the same number.
is_stage() {
    [[ $(readlink "/proc/$2/fd/1") == "$stages/$1/log" ]]
}
