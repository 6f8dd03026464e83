# shellcheck shell=bash
# tidegate's own programs, the schema, the topics and the demo tenant.

READY_MS=20000

program_of() { printf '%s/tidegate-%s' "$BIN" "$1"; }

tidegate_cli() { TIDEGATE_CONFIG=$INI "$BIN/tidegate" "$@"; }

check_cli() { [[ -x $BIN/tidegate ]] || die "$BIN/tidegate is missing; run: make build"; }

check_programs() {
  local name
  check_cli
  for name in migrate $(wanted_ones); do
    if is_store "$name"; then continue; fi
    [[ -x $(program_of "$name") ]] || die "$(program_of "$name") is missing; run: make build"
  done
}

service_launch() { launch "$1" env TIDEGATE_CONFIG="$INI" "$(program_of "$1")"; }

service_start() {
  service_launch "$1"
  await "$READY_MS" "$1" is_ready "$1"
}

# True if the running process is not the program that would be started now: it was built anew, or
# comes from another build directory. A service run under a wrapper (strace, …) is left alone.
is_stale() {
  local pid exe
  pid=$(pid_of "$1") && exe=$(readlink "/proc/$pid/exe") || return 1
  case $exe in
  */"tidegate-$1" | */"tidegate-$1 (deleted)") [[ $exe != "$(program_of "$1")" ]] ;;
  *) return 1 ;;
  esac
}

start_one() {
  if is_alive "$1"; then return 0; fi
  case $1 in
  postgres) pg_start ;;
  kafka) kafka_start ;;
  redis) redis_start ;;
  *) service_start "$1" ;;
  esac
}

migrate() {
  TIDEGATE_CONFIG=$INI "$(program_of migrate)" up >"$LOG/migrate.log" 2>&1 ||
    { tail -n 15 "$LOG/migrate.log" >&2; die "the migrations failed (all of it: $LOG/migrate.log)"; }
  pg_set_passwords
}

make_topics() {
  if [[ -e $RUN/topics.ready ]]; then return 0; fi
  tidegate_cli topics create >"$LOG/topics.log" 2>&1 ||
    { cat "$LOG/topics.log" >&2; die "the topics could not be created"; }
  touch "$RUN/topics.ready"
}

# The demo tenant and its key, once: the key is shown only when it is made, so it is kept here.
make_demo() {
  if [[ -s $RUN/demo.key ]]; then return 0; fi
  local key
  {
    tidegate_cli tenant create demo --if-not-exists &&
      key=$(tidegate_cli key create --tenant demo --scopes ingest,read,manage,registry)
  } >"$LOG/demo.log" 2>&1 || { cat "$LOG/demo.log" >&2; die "the demo tenant could not be made"; }
  [[ $key == tg_* ]] || die "'tidegate key create' printed no key"
  (umask 077 && printf '%s\n' "$key" >"$RUN/demo.key")
}

# The simulator in the foreground, at its own default rates; "$@" are further options for it.
run_demo() {
  is_alive gateway || die "nothing runs in $RUN; make up"
  show_demo
  TIDEGATE_SIMULATOR_KEY_FILE=$RUN/demo.key exec "$(program_of simulator)" --config=/dev/null \
    --gateway="127.0.0.1:${PORT[gateway]}" --start="$DEMO_START" --history=1s --seed=2 --log.level=warn \
    --http.listen="127.0.0.1:$((BASE + 6))" --http.admin_listen="127.0.0.1:$((BASE + 16))" "$@"
}

# The three stores side by side; Kafka with its topics.
start_stores() {
  local pids=() pid failed=0
  (start_one postgres) & pids+=($!)
  (start_one kafka; make_topics) & pids+=($!)
  (start_one redis) & pids+=($!)
  for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
  ((failed == 0)) || exit 1
}

# Starts "$@" side by side and waits for all of them.
start_together() {
  local name started=()
  for name in "$@"; do
    if is_alive "$name"; then continue; fi
    service_launch "$name"
    started+=("$name")
  done
  for name in "${started[@]}"; do await "$READY_MS" "$name" is_ready "$name"; done
}

restart_stale() {
  local name stale=()
  for name in "${SERVICES[@]}" "$DEMO"; do
    if is_stale "$name"; then stale+=("$name"); fi
  done
  if ((${#stale[@]} == 0)); then return 0; fi
  say "tidegate: built anew, restarting: ${stale[*]}"
  stop_all "${stale[@]}" || true
}
