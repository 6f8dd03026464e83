# shellcheck shell=bash
# What the stack says about itself: status, health, logs, database and topic figures.

# Prints "state pid memory" of a component.
state_of() {
  local pid state=running memory
  pid=$(pid_of "$1") || { printf 'stopped - -\n'; return; }
  if is_paused "$1"; then state=paused; fi
  memory=$(awk '/^VmRSS/ { printf "%.0f MiB", $2 / 1024 }' "/proc/$pid/status" 2>/dev/null)
  printf '%s %s %s\n' "$state" "$pid" "${memory:-?}"
}

show_status() {
  local name state pid memory
  printf '%-10s %-8s %8s %9s  %s\n' NAME STATE PID MEMORY PORTS
  for name in "${ALL[@]}"; do
    read -r state pid memory < <(state_of "$name")
    printf '%-10s %-8s %8s %9s  %s\n' "$name" "$state" "$pid" "$memory" "$(ports_of "$name" | xargs)"
  done
  printf 'run directory %s, port base %s\n' "$RUN" "$BASE"
  if [[ -s $RUN/secrets/operator ]]; then printf 'schema registry for operators: %s\n' "$(registry_url)"; fi
}

store_health() {
  case $1 in
  postgres) pg_answers ;;
  kafka) port_open "${PORT[kafka]}" ;;
  redis) port_open "${PORT[redis]}" ;;
  esac
}

# One line for each component; fails if one of them is not ready.
show_health() {
  local name code body bad=0
  for name in "${ALL[@]}"; do
    body='' code=-
    if ! is_alive "$name" && [[ $name == "$DEMO" ]]; then
      printf '%-10s off\n' "$name" # nothing depends on it
      continue
    elif ! is_alive "$name"; then
      code=stopped
    elif is_store "$name"; then
      store_health "$name" && code=200
    else
      { read -r code && body=$(tr -d '\n'); } < <(http_get "$(admin_port "$name")" /ready) || true
    fi
    if [[ $code == 200 ]]; then
      printf '%-10s ready      %s\n' "$name" "$body"
    else
      printf '%-10s NOT READY  %s %s\n' "$name" "$code" "$body"
      bad=1
    fi
  done
  return "$bad"
}

# Follows the logs on a terminal; elsewhere prints their ends and leaves.
show_logs() {
  local files=() name
  for name in "$@"; do
    if [[ -e $LOG/$name.log ]]; then files+=("$LOG/$name.log"); fi
  done
  ((${#files[@]} > 0)) || die "no log of $* in $LOG yet"
  if [[ -t 1 ]]; then exec tail -n 40 -F "${files[@]}"; fi
  tail -n 100 "${files[@]}"
}

# "topic partition first next" of every partition, tab separated.
topic_offsets() {
  check_cli
  tidegate_cli topics offsets | awk -v OFS='\t' '{ print $1, $2, $4, $6 }'
}

show_db_stats() {
  is_alive postgres || die "PostgreSQL is not running; make up"
  local ends=''
  if is_alive kafka; then ends=$(topic_offsets); fi
  {
    printf 'create temp table topic_ends (topic text, partition int, first bigint, next bigint);\n'
    printf 'copy topic_ends from stdin;\n%s\n\\.\n' "$ends" | sed '/^$/d'
    cat "$HERE/db-stats.sql"
  } | pg_psql -P pager=off -f -
}

show_topics() {
  is_alive kafka || die "Kafka is not running; make up"
  topic_offsets | awk -F '\t' '
    BEGIN { printf "%-18s %9s %12s %12s %12s\n", "TOPIC", "PARTITION", "FIRST", "NEXT", "RECORDS" }
    { printf "%-18s %9d %12d %12d %12d\n", $1, $2, $3, $4, $4 - $3; sum += $4 - $3 }
    END { printf "%-18s %9d %38d\n", "all", NR, sum }'
}

# What a script needs to talk to this stack, as shell assignments.
show_env() {
  local name
  printf 'TIDEGATE_RUN=%q\n' "$RUN"
  printf 'TIDEGATE_CONFIG=%q\n' "$INI"
  printf 'TIDEGATE_URL=http://127.0.0.1:%s\n' "${PORT[gateway]}"
  printf 'TIDEGATE_REGISTRY_URL=%s\n' "$(registry_url)"
  printf 'TIDEGATE_KAFKA=127.0.0.1:%s\n' "${PORT[kafka]}"
  printf 'TIDEGATE_REDIS=127.0.0.1:%s\n' "${PORT[redis]}"
  printf 'TIDEGATE_DSN=%q\n' "$(dsn tidegate tidegate)"
  for name in "${SERVICES[@]}" "$DEMO"; do printf 'TIDEGATE_ADMIN_%s=http://127.0.0.1:%s\n' "${name^^}" "$(admin_port "$name")"; done
  if [[ -s $RUN/demo.key ]]; then printf 'TIDEGATE_KEY=%q\n' "$(<"$RUN/demo.key")"; fi
}

show_welcome() {
  local key url=http://127.0.0.1:${PORT[gateway]}
  key=$(<"$RUN/demo.key")
  cat <<END
tidegate is up.

  API        $url
  demo key   $key   (kept in $RUN/demo.key)

Send an order, then read its minute:

  curl -H 'X-API-Key: $key' -H 'Content-Type: application/json' $url/v1/events/order -d '{"order_id":"o-1","customer_id":"c-1","amount":120.5,"currency":"USD","channel":"web","event_time":"'\$(date -u +%FT%TZ)'"}'
  curl -H 'X-API-Key: $key' $url/v1/kpi/minute
END
  if is_alive "$DEMO"; then
    cat <<END

The simulator sends a few events a second for the demo tenant, and has sent those of the last two hours
(TIDEGATE_DEMO=0 make up: without it; make demo: at full rates).
END
  fi
}

show_demo() {
  local key url=http://127.0.0.1:${PORT[gateway]}
  key=$(<"$RUN/demo.key")
  cat <<END
Sending 10 devices' readings, 50 activities, 1,000 signals, 5 orders, 20 session steps and 40 stream events a
second for the demo tenant, until Ctrl-C. What to look at, each with -H 'X-API-Key: $key':

  $url/v1/kpi/minute                 revenue per currency, orders, conversion
  $url/v1/streams/top                donations per stream; also ?by=active_viewers
  $url/v1/metrics/latest             each stream's newest minute
  $url/v1/metrics/iot/latest         the devices
  $url/v1/metrics/activity/leaderboard

One event of your own: curl localhost:$((BASE + 6))/emit -d '{"type":"stream","event_type":"donation","amount_usd":25}'
Metrics: localhost:$((BASE + 16))/metrics
END
}
