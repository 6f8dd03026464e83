#!/bin/sh
# A throw-away PostgreSQL for unit tests, reachable only through a socket in its own folder.
#   server.sh create DIR | start DIR | kill DIR | pause DIR | resume DIR | destroy DIR
# PostgreSQL refuses root, so as root everything runs as the user postgres. TG_PG_ENGINE=timescale loads that.
set -eu
command=$1 dir=$2
export PATH="/usr/lib/postgresql/15/bin:$PATH" LC_ALL=C
cd /
as_owner() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid=postgres --regid=postgres --clear-groups "$@"
    else
        "$@"
    fi
}
everyone() { # the postmaster and its children
    pid=$(head -1 "$dir/data/postmaster.pid")
    echo "$pid" $(cat "/proc/$pid/task/$pid/children")
}
start() {
    more=
    if [ "${TG_PG_ENGINE:-plain}" = timescale ]; then
        more="-c shared_preload_libraries=timescaledb -c timescaledb.telemetry_level=off"
        more="$more -c timescaledb.max_background_workers=0"
    fi
    as_owner pg_ctl -D "$dir/data" -l "$dir/log" -w -s -t 20 start \
        -o "-k $dir -c listen_addresses='' -c fsync=off -c shared_buffers=8MB -c max_connections=30 $more"
}
case $command in
create)
    if [ "$(id -u)" = 0 ]; then chown postgres "$dir"; fi
    as_owner initdb -D "$dir/data" -U postgres -A trust -N -E UTF8 --no-instructions >/dev/null
    start
    ;;
start) start ;;
kill) as_owner pg_ctl -D "$dir/data" -m immediate -s stop ;;
pause) kill -STOP $(everyone) ;;
resume) kill -CONT $(everyone) ;;
destroy)
    as_owner pg_ctl -D "$dir/data" -m immediate -s stop || true
    rm -rf "$dir"
    ;;
*) exit 2 ;;
esac
