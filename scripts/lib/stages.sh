# shellcheck shell=bash disable=SC2034
# The stages that `make up` started: one folder each under run/stages, with a supervisor in it.
# Sourced by up, status, scale, restart and down; wants scripts/lib/wait.sh, and
# with_rings.sh where workers are started.

# Somewhere else for a second set of stages, which also wants a FRAMELANE_NAMESPACE of its own.
run=$(realpath -m "${FRAMELANE_RUN_DIR:-run}")
readonly run
readonly stages=$run/stages
readonly settings=$run/settings
readonly environment=$run/environment

# bin_folder: where the binaries are.
bin_folder() {
    echo "${FRAMELANE_BIN_DIR:-$(scripts/lib/target_dir.sh)/release}"
}

# save_settings NAME...: keeps variables of `up` for the other lanes, and the environment for stages
# that are started later. There may be secrets in it.
save_settings() {
    local name
    (umask 077 && env -0 >"$environment")
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

# start_stage NAME COMMAND...: starts it under a supervisor of its own, in the environment of `up`.
start_stage() {
    local name=$1 variables
    shift
    mapfile -d '' -t variables <"$environment"
    mkdir -p "$stages/$name"
    rm -f "$stages/$name/started"
    env -i "${variables[@]}" HANG_CHECK="${HANG_CHECK:-}" \
        setsid scripts/lib/supervise.sh "$stages/$name" "$@" </dev/null >/dev/null 2>>"$stages/$name/log" &
    wait_until 10 "the start of $name" test -e "$stages/$name/started"
}

# start_worker NUMBER: by the settings.
start_worker() {
    local check command=("$bin/worker" --op "$op")
    # Words of WORKER are a program and its arguments.
    [[ -z $worker ]] || read -ra command <<<"$worker"
    with_rings "${ring:?}.in" "${ring:?}.out" "${command[@]}"
    check=$(printf '%q ' "$bin/framelane" check "$ring.in" --max-hold "${max_hold:?}" --pid)
    HANG_CHECK=$check start_stage "worker-$1" "${command[@]}"
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
    else
        end_stray "$1"
    fi
    rm -rf "${folder:?}"
}

# end_stray NAME: ends a stage whose supervisor was killed.
end_stray() {
    local pid
    if pid=$(cat "$stages/$1/pid" 2>/dev/null) && is_stage "$1" "$pid"; then
        end_process "$pid"
    fi
}

# is_stage NAME PID: whether that process is this stage, and no later one with the same number.
is_stage() {
    [[ $(readlink "/proc/$2/fd/1") == "$stages/$1/log" ]]
}
