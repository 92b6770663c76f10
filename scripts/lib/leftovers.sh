# shellcheck shell=bash
# What the processes of a FRAMELANE_NAMESPACE leave behind. Sourced; wants scripts/lib/rtmp_server.sh.

# leftovers: prints segments, processes and the server's port, if any of them is still there.
leftovers() {
    local left
    left=$(find /dev/shm -name "*$FRAMELANE_NAMESPACE.*")
    [[ -z $left ]] || echo "segments left behind: $left"
    # All that was started inherited the variable, and so did what it started.
    left=$(env -u FRAMELANE_NAMESPACE grep -lsz "^FRAMELANE_NAMESPACE=$FRAMELANE_NAMESPACE\$" \
        /proc/[0-9]*/environ || true)
    [[ -z $left ]] || echo "processes left behind: $left"
    [[ -z ${rtmp_port:-} ]] || ! answers "$rtmp_port" || echo "port $rtmp_port still answers"
}
