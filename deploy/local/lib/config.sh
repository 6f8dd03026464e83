# shellcheck shell=bash
# Secrets and the one settings file of a stack, run/tidegate.ini.
#
# Secrets are made once per run directory and never change under a living database. The file is
# written when it is missing or when the port base changed; until then it is the user's to edit.

PG_ROLES=(gateway admin ingestion registry worker query)
DEMO_START=2026-01-01T00:00:00Z
SECRETS=(postgres tidegate shared operator "${PG_ROLES[@]}")

secret() { cat "$RUN/secrets/$1"; }

make_secrets() {
  local name
  (
    umask 077
    mkdir -p "$RUN/secrets"
    for name in "${SECRETS[@]}"; do
      if [[ ! -s $RUN/secrets/$name ]]; then random_hex 24 >"$RUN/secrets/$name"; fi
    done
  )
}

# A connection string for the login $1 with the secret $2.
dsn() {
  printf 'host=127.0.0.1 port=%s dbname=tidegate user=%s password=%s' "${PORT[postgres]}" "$1" "$(secret "$2")"
}

# The section of a service: where it listens, and as whom it connects.
service_section() {
  local name=$1
  printf '\n[%s]\n' "$name"
  case $name in
  worker) ;;
  *) printf 'http.listen = 127.0.0.1:%s\n' "${PORT[$name]}" ;;
  esac
  printf 'http.admin_listen = 127.0.0.1:%s\n' "$(admin_port "$name")"
  printf 'pg.dsn = %s\n' "$(dsn "tidegate_$name" "$name")"
  if [[ $name == gateway ]]; then gateway_keys; fi
  if [[ $name == registry ]]; then printf 'operator.password = %s\n' "$(secret operator)"; fi
}

# Everybody is behind one address here, so wrong keys are hardly limited.
gateway_keys() {
  printf 'admin.pg_dsn = %s\n' "$(dsn tidegate_admin admin)"
  printf 'auth.failures_burst = 100000\nauth.failures_per_minute = 100000\n'
}

# The registry as an operator sees it, all contexts; what a Confluent client takes as its URL.
registry_url() { printf 'http://operator:%s@127.0.0.1:%s' "$(secret operator)" "${PORT[registry]}"; }

# A few events a second, and two hours of them at the start. The same start and seed mean the same
# events: what is sent again after a restart is known by its ids.
simulator_section() {
  cat <<END

[simulator]
http.listen = 127.0.0.1:${PORT[simulator]}
http.admin_listen = 127.0.0.1:$(admin_port simulator)
gateway = 127.0.0.1:${PORT[gateway]}
key_file = $RUN/demo.key
start = $DEMO_START
history = 2h
seed = 1
rate.reading = 3
rate.activity = 1
rate.signal = 1
rate.order = 0.2
rate.session = 0.6
rate.stream = 1.2
send.linger = 500ms
END
}

ini_text() {
  cat <<END
# tidegate's local stack on port base $BASE. Made by deploy/local/stack; edit it as you like, it is
# written anew only after make clean, make reset or a change of the port base. Holds passwords.

[tidegate]
kafka.brokers = 127.0.0.1:${PORT[kafka]}
redis.address = 127.0.0.1:${PORT[redis]}
gateway.secret = $(secret shared)
registry.instances = 127.0.0.1:${PORT[registry]}
ingestion.instances = 127.0.0.1:${PORT[ingestion]}
query.instances = 127.0.0.1:${PORT[query]}
builtin.dir = $TOP/schemas

[migrate]
migrations.dir = $TOP/migrations
pg.dsn = $(dsn tidegate tidegate)

[cli]
pg.dsn = $(dsn tidegate tidegate)
END
  local name
  for name in "${SERVICES[@]}"; do service_section "$name"; done
  simulator_section
}

make_ini() {
  make_secrets
  if [[ -s $INI ]] && grep -q "port base $BASE\\." "$INI"; then
    grep -q '^\[simulator\]' "$INI" || simulator_section >>"$INI" # of before there was one
    grep -q '^admin\.pg_dsn' "$INI" || sed -i "/^\[gateway\]/r /dev/stdin" "$INI" < <(gateway_keys) # likewise
    grep -q '^operator\.password' "$INI" || sed -i "/^\[registry\]/a operator.password = $(secret operator)" "$INI"
    return 0
  fi
  if [[ -s $INI ]]; then say "tidegate: the port base changed, $INI is written anew"; fi
  (umask 077 && ini_text >"$INI.new")
  mv -f "$INI.new" "$INI"
}
