# shellcheck shell=bash
# What every part of the local stack shares: paths, ports, messages, waiting.
#
# All ports follow from one base, and all files lie in one run directory, so that two stacks (a
# user's and the tests') are apart as soon as these two differ. The base is recorded in the run
# directory: `make status` needs no variable that `make up` was given.

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd -P)
HERE=$TOP/deploy/local
CACHE=${TIDEGATE_CACHE:-$TOP/.cache}
RUN=$(realpath -m "${TIDEGATE_RUN:-$TOP/run}")
BIN=$(realpath -m "${TIDEGATE_BIN:-$TOP/build/release/bin}")
LOG=$RUN/log
INI=$RUN/tidegate.ini

STORES=(postgres kafka redis)
SERVICES=(registry ingestion worker query gateway) # in the order of their start
DEMO=simulator                                     # sends the demo tenant's events
ALL=("${STORES[@]}" "${SERVICES[@]}" "$DEMO")

declare -A PORT OFFSETS=(
  [gateway]="0 10" [ingestion]="1 11" [query]="2 12" [registry]="3 13" [worker]="14" [simulator]="5 15"
  [kafka]="20 21" [postgres]="22" [redis]="23"
)

say() { printf '%s\n' "$*" >&2; }
die() { say "tidegate: $*"; exit 1; }

# Fills PORT: [gateway] = what it serves on, [gateway.admin] = its second port.
set_ports() {
  BASE=${TIDEGATE_PORT_BASE:-}
  if [[ -z $BASE && -r $RUN/base ]]; then BASE=$(<"$RUN/base"); fi
  BASE=${BASE:-8080}
  [[ $BASE =~ ^[1-9][0-9]{3,4}$ ]] && ((BASE >= 1024 && BASE <= 65500)) ||
    die "TIDEGATE_PORT_BASE is '$BASE', must be a port from 1024 to 65500"
  local name offsets
  for name in "${ALL[@]}"; do
    read -ra offsets <<<"${OFFSETS[$name]}"
    PORT[$name]=$((BASE + offsets[0]))
    if ((${#offsets[@]} > 1)); then PORT[$name.admin]=$((BASE + offsets[1])); fi
  done
  PORT[worker.admin]=${PORT[worker]} # the worker serves nothing else
}

# The port whose /ready answers for a service.
admin_port() { printf '%s' "${PORT[$1.admin]}"; }

ports_of() {
  local offset
  for offset in ${OFFSETS[$1]}; do printf '%s\n' $((BASE + offset)); done
}

is_name() {
  local name
  for name in "${ALL[@]}"; do [[ $name == "$1" ]] && return 0; done
  return 1
}

# What `up` starts: all, but the simulator only if TIDEGATE_DEMO is not 0.
wanted_ones() {
  local name
  for name in "${ALL[@]}"; do
    [[ $name == "$DEMO" && ${TIDEGATE_DEMO:-1} == 0 ]] || printf '%s\n' "$name"
  done
}

is_store() { [[ $1 == postgres || $1 == kafka || $1 == redis ]]; }

now_ms() {
  local t=${EPOCHREALTIME/[.,]/}
  printf '%s' "${t%???}"
}

# Runs "$@" each 10 ms until it succeeds; fails after $1 ms, or with 2 as soon as `$2` is not alive.
# Usage: wait_for MILLISECONDS NAME COMMAND...
wait_for() {
  local deadline=$(($(now_ms) + $1)) name=$2
  shift 2
  until "$@"; do
    if [[ -n $name ]] && ! is_alive "$name"; then return 2; fi
    if (($(now_ms) >= deadline)); then return 1; fi
    sleep 0.01
  done
}

port_open() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Prints the status code and body of GET http://127.0.0.1:$1$2, one line each; fails if there is no answer.
http_get() {
  (
    exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
    printf 'GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' "$2" >&3
    IFS=' ' read -r -t 2 _ code _ <&3 || exit 1
    while IFS= read -r -t 2 header <&3 && [[ $header != $'\r' && -n $header ]]; do :; done
    printf '%s\n' "${code%$'\r'}"
    timeout 2 cat <&3 || true
  ) 2>/dev/null
}

is_ready() {
  local code
  read -r code < <(http_get "$(admin_port "$1")" /ready) && [[ $code == 200 ]]
}

# Prints "hexport inode" of each listening TCP socket of this network namespace.
listeners() {
  cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
    awk '$4 == "0A" { n = split($2, a, ":"); print a[n], $10 }'
}

# Says what process holds the listening socket `inode`, as far as /proc shows it to us.
holder_of() {
  local fd pid
  fd=$(find /proc/[0-9]*/fd -lname "socket:\[$1\]" -print -quit 2>/dev/null || true)
  if [[ -z $fd ]]; then printf 'a process of another user'; return; fi
  pid=${fd#/proc/} pid=${pid%%/*}
  printf "'%s' (pid %s)" "$(tr '\0' ' ' <"/proc/$pid/cmdline" | cut -c1-80 | sed 's/ *$//')" "$pid"
}

# Refuses to go on when a port that "$@" (not running) need is somebody else's.
check_ports() {
  local name port hex inode taken=0 sockets
  sockets=$(listeners)
  for name in "$@"; do
    for port in $(ports_of "$name"); do
      printf -v hex '%04X' "$port"
      inode=$(awk -v p="$hex" '$1 == p { print $2; exit }' <<<"$sockets")
      if [[ -z $inode ]]; then continue; fi
      say "tidegate: port $port, which $name needs, is in use by $(holder_of "$inode"), not started by this stack"
      taken=1
    done
  done
  if ((taken)); then
    die "nothing was started; stop what holds the ports, or take others: TIDEGATE_PORT_BASE=$((BASE + 1000)) make up"
  fi
}

random_hex() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }

# Makes the run directory; every file in it is this user's alone unless said otherwise.
make_run() {
  mkdir -p "$RUN" "$LOG" "$RUN/pid" 2>/dev/null && [[ -w $RUN && -w $LOG && -w $RUN/pid ]] ||
    die "cannot write to $RUN (does it belong to another user?); set TIDEGATE_RUN to another directory"
  [[ -s $RUN/base && $(<"$RUN/base") == "$BASE" ]] || printf '%s\n' "$BASE" >"$RUN/base"
}

# One `up`, `down`, `reset` or `clean` at a time in one run directory. Daemons close descriptor 9.
lock_run() {
  exec 9>"$RUN/lock"
  flock -w 120 9 || die "another 'up' or 'down' has been busy in $RUN for two minutes"
}
