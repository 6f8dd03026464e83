# shellcheck shell=bash
# A PostgreSQL cluster of the stack's own: on loopback, passwords only (SCRAM), fsync on. The database
# and all in it belong to the role `tidegate`, which is no superuser: what works here works on a
# managed server.
#
# PostgreSQL refuses to run as root. Then the cluster is the `postgres` user's, which must be able
# to reach it: where the run directory lies below one that only root may enter (/root), the data
# goes to /var/lib/tidegate-local instead; run/postgres.dir records where it is.
#
# The storage engine is chosen when the cluster is made (TIDEGATE_ENGINE) and recorded in
# run/postgres.engine: a database of one engine cannot be read by the other.

PG_HOME=/var/lib/tidegate-local
PG_SETTINGS=(
  listen_addresses=127.0.0.1 unix_socket_directories= max_connections=200 max_locks_per_transaction=512
  shared_buffers=128MB work_mem=8MB maintenance_work_mem=64MB max_wal_size=2GB
  checkpoint_timeout=15min wal_compression=on random_page_cost=1.1 jit=off
  timezone=UTC log_timezone=UTC log_min_duration_statement=1s log_checkpoints=off
  "log_line_prefix=%m [%p] %u@%d %a "
)
# No background workers: tidegate's own maintenance drives TimescaleDB.
TIMESCALE_SETTINGS=(
  shared_preload_libraries=timescaledb timescaledb.telemetry_level=off timescaledb.max_background_workers=0
  timescaledb.enable_skipscan=off
)

pg_bin() {
  local dir
  for dir in "${TIDEGATE_PG_BIN:-}" /usr/lib/postgresql/{15,16,17}/bin; do
    if [[ -x $dir/postgres && -x $dir/initdb ]]; then printf '%s' "$dir"; return; fi
  done
  die "no PostgreSQL server found; run deploy/local/install, or name its bin directory in TIDEGATE_PG_BIN"
}

# True if the server has TimescaleDB's library.
pg_offers_timescale() {
  local file
  for file in "$(pg_bin)"/../lib/{,postgresql/}timescaledb.so; do
    if [[ -e $file ]]; then return 0; fi
  done
  return 1
}

# The engine that TIDEGATE_ENGINE asks for.
engine_wanted() {
  case ${TIDEGATE_ENGINE:-auto} in
  auto) if pg_offers_timescale; then printf timescale; else printf plain; fi ;;
  plain) printf plain ;;
  timescale)
    pg_offers_timescale || die "TIDEGATE_ENGINE=timescale, but the PostgreSQL in $(pg_bin) has no TimescaleDB"
    printf timescale
    ;;
  *) die "TIDEGATE_ENGINE is '$TIDEGATE_ENGINE', must be auto, plain or timescale" ;;
  esac
}

# The engine of the cluster that exists. One made before engines were recorded is plain.
engine_of() { cat "$RUN/postgres.engine" 2>/dev/null || printf plain; }

# Refuses an engine that is not the one of the cluster that exists.
check_engine() {
  local asked=${TIDEGATE_ENGINE:-auto}
  if [[ ! -e $RUN/postgres.ready || $asked == auto || $asked == "$(engine_of)" ]]; then return 0; fi
  die "the database in $RUN was made for engine '$(engine_of)', not '$asked'; make clean forgets it"
}

# Runs "$@" as the user who owns the cluster.
as_postgres() {
  if ((EUID != 0)); then "$@"; return; fi
  (cd / && setpriv --reuid=postgres --regid=postgres --init-groups -- "$@")
}

# Chooses where the cluster lives and makes that directory; the choice is recorded once.
pg_place() {
  if [[ -s $RUN/postgres.dir ]]; then return 0; fi
  local dir=$RUN/postgres
  if ((EUID == 0)) && ! as_postgres test -x "$RUN"; then
    mkdir -p "$PG_HOME"
    dir=$(mktemp -d "$PG_HOME/XXXXXXXX")
    say "tidegate: the user 'postgres' cannot enter $RUN, so PostgreSQL's data is in $dir (make clean removes it)"
  fi
  mkdir -p "$dir"
  if ((EUID == 0)); then chown postgres:postgres "$dir"; fi
  chmod 700 "$dir"
  printf '%s\n' "$dir" >"$RUN/postgres.dir"
}

pg_data() { printf '%s/data' "$(<"$RUN/postgres.dir")"; }

# initdb, once. The mark is written last: a run that was cut short begins anew.
pg_prepare() {
  pg_place
  if [[ -e $RUN/postgres.ready ]]; then return 0; fi
  local data engine
  data=$(pg_data)
  engine=$(engine_wanted)
  as_postgres rm -rf "$data" "$data.pw"
  # shellcheck disable=SC2016
  secret postgres | as_postgres sh -c 'umask 077 && cat >"$1"' - "$data.pw"
  as_postgres "$(pg_bin)/initdb" --pgdata="$data" --username=postgres --pwfile="$data.pw" \
    --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --data-checksums \
    >"$LOG/initdb.log" 2>&1 || { cat "$LOG/initdb.log" >&2; die "initdb failed"; }
  as_postgres rm -f "$data.pw"
  printf '%s\n' "$engine" >"$RUN/postgres.engine"
  touch "$RUN/postgres.ready"
}

# A killed postmaster that init has not reaped yet looks alive to PostgreSQL: its lock file must go.
pg_forget_zombie() {
  local file pid state
  file=$(pg_data)/postmaster.pid
  { read -r pid <"$file"; } 2>/dev/null || return 0
  read -r state _ < <(pid_stat "$pid") || return 0
  if [[ $state == Z ]]; then rm -f "$file"; fi
}

pg_launch() {
  pg_forget_zombie
  local command=("$(pg_bin)/postgres" -D "$(pg_data)" -p "${PORT[postgres]}") setting
  local settings=("${PG_SETTINGS[@]}")
  if [[ $(engine_of) == timescale ]]; then settings+=("${TIMESCALE_SETTINGS[@]}"); fi
  for setting in "${settings[@]}"; do command+=(-c "$setting"); done
  if ((EUID == 0)); then
    command=(setpriv --reuid=postgres --regid=postgres --init-groups -- "${command[@]}")
  fi
  launch postgres "${command[@]}"
}

# psql as the login $1; errors stop it.
pg_psql_as() {
  local login=$1
  PGPASSWORD=$(secret "$login") PGOPTIONS='-c client_min_messages=warning' \
    "$(pg_bin)/psql" -X -q -h 127.0.0.1 -p "${PORT[postgres]}" -U "$login" -v ON_ERROR_STOP=1 "${@:2}"
}

pg_psql() { pg_psql_as tidegate -d tidegate "$@"; }

pg_answers() { pg_psql_as postgres -d postgres -Atc 'select 1' >/dev/null 2>&1; }

# The owner's role and database, once. A password goes through standard input only, so that it is in
# no process list, and is kept out of the server's log.
pg_create_database() {
  if [[ -e $RUN/postgres.created ]]; then return 0; fi
  pg_psql_as postgres -d postgres -f - <<END
set log_min_duration_statement = -1;
drop database if exists tidegate;
drop role if exists tidegate;
create role tidegate login createrole createdb password '$(secret tidegate)';
create database tidegate owner tidegate;
END
  touch "$RUN/postgres.created"
}

pg_start() {
  pg_prepare
  pg_launch
  await 20000 postgres port_open "${PORT[postgres]}"
  await 20000 postgres pg_answers
  pg_create_database
}

# The migrations make the services' roles without passwords; theirs are set here.
pg_set_passwords() {
  local role
  {
    printf 'set log_min_duration_statement = -1;\n'
    for role in "${PG_ROLES[@]}"; do
      printf "alter role tidegate_%s login password '%s';\n" "$role" "$(secret "$role")"
    done
  } | pg_psql_as postgres -d postgres -f -
}

pg_wipe() {
  if [[ -s $RUN/postgres.dir ]]; then
    local dir
    dir=$(<"$RUN/postgres.dir")
    if [[ $dir == "$RUN/postgres" || $dir == "$PG_HOME"/???????? ]]; then rm -rf "$dir"; fi
    rmdir "$PG_HOME" 2>/dev/null || true
  fi
  rm -f "$RUN"/postgres.{dir,ready,created,engine}
}
