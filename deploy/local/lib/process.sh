# shellcheck shell=bash
# Starting and ending the stack's own processes, and never anybody else's.
#
# A pid file holds the pid and its start time from /proc/PID/stat. Both must match before a signal
# is sent, so that a recycled pid is safe; a zombie counts as gone, though `kill -0` would succeed.

# Prints "state starttime" of a pid; fails when there is no such process.
pid_stat() {
  local line
  { read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
  line=${line##*) } # the command's name may hold spaces and brackets
  local fields
  read -ra fields <<<"$line"
  printf '%s %s\n' "${fields[0]}" "${fields[19]}"
}

# Prints the pid of a running component; fails when it is not running.
pid_of() {
  local pid start state now
  { read -r pid start <"$RUN/pid/$1"; } 2>/dev/null || return 1
  read -r state now < <(pid_stat "$pid") || return 1
  [[ $state != X && $now == "$start" ]] || return 1
  # Behind a first thread that is a zombie, others of a killed JVM may still hold its sockets.
  local tasks=(/proc/"$pid"/task/*)
  [[ $state != Z ]] || ((${#tasks[@]} > 1)) || return 1
  printf '%s' "$pid"
}

is_alive() { pid_of "$1" >/dev/null; }

is_paused() {
  local pid state
  pid=$(pid_of "$1") || return 1
  read -r state _ < <(pid_stat "$pid") && [[ $state == T ]]
}

# Starts a daemon of the name $1 in a session of its own, its output appended to its log.
launch() {
  local name=$1 start
  shift
  (
    cd / && exec 8>&- 9>&- # the locks are not theirs to hold
    exec setsid "$@"
  ) </dev/null >>"$LOG/$name.log" 2>&1 &
  local pid=$!
  read -r _ start < <(pid_stat "$pid") || start=0
  printf '%s %s\n' "$pid" "$start" >"$RUN/pid/$name"
}

# Prints a pid and its direct children: PostgreSQL's backends are those of the postmaster.
with_children() {
  printf '%s ' "$1"
  cat "/proc/$1/task/$1/children" 2>/dev/null || true
}

# Sends signal $2 to the component $1 and what it forked. Gone processes are no error.
signal_all() {
  local pid
  pid=$(pid_of "$1") || return 0
  # shellcheck disable=SC2046
  kill -s "$2" $(with_children "$pid") 2>/dev/null || check_ours "$1"
}

check_ours() {
  if is_alive "$1" && ! kill -0 "$(pid_of "$1")" 2>/dev/null; then
    die "$1 (pid $(pid_of "$1")) belongs to another user; stop it as that user"
  fi
}

# The polite request to end. PostgreSQL's SIGINT is its fast shutdown: sessions are cut, data is safe.
ask_to_stop() {
  local pid signal=TERM
  pid=$(pid_of "$1") || return 0
  if [[ $1 == postgres ]]; then signal=INT; fi
  kill -s "$signal" "$pid" 2>/dev/null || check_ours "$1"
  if is_paused "$1"; then signal_all "$1" CONT; fi
}

# Stops "$@" together: a polite signal, at most 15 s, then SIGKILL. Fails if it had to kill.
stop_all() {
  local name killed=0
  for name in "$@"; do ask_to_stop "$name"; done
  local deadline=$(($(now_ms) + 15000))
  for name in "$@"; do
    while is_alive "$name" && (($(now_ms) < deadline)); do sleep 0.01; done
    if is_alive "$name"; then
      say "tidegate: $name did not stop within 15 s and was killed"
      kill_now "$name"
      killed=1
    fi
    rm -f "$RUN/pid/$name"
  done
  return "$killed"
}

kill_now() {
  signal_all "$1" KILL
  wait_for 5000 '' is_gone "$1" || die "$1 survives SIGKILL (pid $(pid_of "$1"))"
  rm -f "$RUN/pid/$1"
}

is_gone() { ! is_alive "$1"; }

# Waits until "$@" (a probe) holds for the component $2; else shows the end of its log and gives up.
# Usage: await MILLISECONDS NAME COMMAND...
await() {
  local limit=$1 name=$2 status=0
  wait_for "$@" || status=$?
  if ((status == 0)); then return 0; fi
  say "tidegate: the last lines of $LOG/$name.log:"
  tail -n 15 "$LOG/$name.log" 2>/dev/null | sed 's/^/    /' >&2
  if ((status == 2)); then die "$name ended while starting"; fi
  die "$name was not ready after $((limit / 1000)) s (it is still running: make logs-$name, make down)"
}
