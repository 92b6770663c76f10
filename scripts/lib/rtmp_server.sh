# shellcheck shell=bash disable=SC2034
# An RTMP server on free loopback ports: SRS if there is one, else nginx with its RTMP module.
# Sourced; wants scripts/lib/children.sh and scripts/lib/wait.sh.
#
# start_rtmp_server FOLDER sets rtmp_kind (what it is) and rtmp_base (rtmp://HOST:PORT/live).
# SRS_URL names a running one; else srs is looked for on the path and under SRS_HOME, then the
# image ossrs/srs:6 where a Docker engine has it. FRAMELANE_TEST_SERVER=nginx looks for none.

: "${logs:?is the folder for the logs}"

start_rtmp_server() {
    local folder=$1 try program
    mkdir -p "$folder"
    if [[ -n ${SRS_URL:-} ]]; then
        rtmp_kind="SRS at $SRS_URL"
        rtmp_base=${SRS_URL%/}
        [[ $rtmp_base == rtmp://*/* ]] || rtmp_base=$rtmp_base/live
        return 0
    fi
    program=$(srs_program)
    for try in 1 2 3 4 5; do
        rtmp_port=$(free_port)
        rtmp_base=rtmp://127.0.0.1:$rtmp_port/live
        start_one "$folder" "$program"
        wait_until 10 "" server_is_up_or_gone && runs rtmp_server && return 0
        stop rtmp_server
        echo "the RTMP server did not start (try $try): $(tail -n 1 "$logs/rtmp_server.log")" >&2
    done
    return 1
}

start_one() {
    local folder=$1 program=$2
    if [[ -n $program ]]; then
        rtmp_kind="SRS ($program)"
        srs_config >"$folder/srs.conf"
        start rtmp_server env -C "$folder" "$program" -c srs.conf
    elif [[ ${FRAMELANE_TEST_SERVER:-} != nginx ]] && command -v docker >/dev/null && docker image inspect ossrs/srs:6 >/dev/null 2>&1; then
        rtmp_kind="SRS (the image ossrs/srs:6)"
        start rtmp_server docker run --rm -p "127.0.0.1:$rtmp_port:1935" ossrs/srs:6
    else
        rtmp_kind="nginx with its RTMP module"
        nginx_config >"$folder/nginx.conf"
        start rtmp_server env "PATH=$PATH:/usr/sbin" nginx -p "$folder" -c nginx.conf
    fi
}

srs_program() {
    if [[ ${FRAMELANE_TEST_SERVER:-} == nginx ]]; then
        return 0
    elif [[ -n ${SRS_HOME:-} && -x $SRS_HOME/srs ]]; then
        realpath "$SRS_HOME/srs"
    else
        command -v srs || true
    fi
}

srs_config() {
    cat <<EOF
listen 127.0.0.1:$rtmp_port;
max_connections 100;
daemon off;
pid srs.pid;
srs_log_tank console;
srs_log_level_v2 warn;
vhost __defaultVhost__ { tcp_nodelay on; min_latency on; play { gop_cache on; mw_latency 0; } }
EOF
}

nginx_config() {
    local module
    module=$(find /usr/lib/nginx/modules /usr/lib64/nginx/modules -name ngx_rtmp_module.so 2>/dev/null | head -n 1 || true)
    cat <<EOF
daemon off;
master_process off;
pid nginx.pid;
error_log stderr warn;
load_module $module;
events { worker_connections 256; }
rtmp {
  server {
    listen 127.0.0.1:$rtmp_port;
    chunk_size 4096;
    application live { live on; drop_idle_publisher 10s; }
  }
}
EOF
}

# Below the kernel's range for outgoing connections.
free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        answers "$port" || break
    done
    echo "$port"
}

answers() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

server_is_up_or_gone() {
    answers "$rtmp_port" || ! runs rtmp_server
}
