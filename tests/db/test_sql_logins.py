"""SQL logins of tenants: what one sees, what the KPI views say, and everything that it must not reach."""

import base64
import datetime
import hashlib
import hmac
import json
import uuid

import psycopg2
import pytest

UTC = datetime.timezone.utc
MINUTE = datetime.timedelta(minutes=1)
HOUR = 60 * MINUTE

VIEWS = ("kpi_minute_view", "kpi_hour_view", "stream_metrics_minute", "signals", "anomalies", "alerts",
         "events", "metric_minute", "metric_hour", "metric_day", "stream_state")


@pytest.fixture
def name():
    """Roles belong to the whole cluster, so each test has a name of its own."""
    return f"l_{uuid.uuid4().hex[:12]}"


@pytest.fixture
def login(store, name):
    """Makes logins; they are dropped when the test is over."""
    made = []

    def make(tenant, suffix="", *more):
        result = store.tidegate("sql-login", "create", name + suffix, "--tenant", tenant, *more)
        assert result.returncode == 0, result.stderr
        made.append(name + suffix)
        return name + suffix

    yield make
    for one in made:
        store.tidegate("sql-login", "drop", one)


@pytest.fixture
def hour():
    """A closed hour."""
    return datetime.datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - 2 * HOUR


def minute(cursor, tenant, event_type, at, kind, entity, count, values=()):
    cursor.execute("INSERT INTO data.metric_minute (tenant_id, type, bucket, kind, entity, count, value_count,"
                   " sum, min, max) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                   (tenant, event_type, at, kind, entity, count, len(values), sum(values) if values else 0,
                    min(values, default=None), max(values, default=None)))


@pytest.fixture
def filled(store, hour):
    """Tenants a and b with the same series and different numbers; b's are all 1000 times as large."""
    for tenant in ("a", "b"):
        store.query("owner", "INSERT INTO control.tenants (id) VALUES (%s)", (tenant,))
    cursor = store.connect("owner", autocommit=True).cursor()
    cursor.execute("SELECT data.ensure_days(ARRAY[(%s AT TIME ZONE 'UTC')::date, (now() AT TIME ZONE 'UTC')::date])",
                   (hour,))
    for tenant, factor in (("a", 1), ("b", 1000)):
        fill(cursor, tenant, factor, hour)
    return store


def fill(cursor, tenant, factor, hour):
    minute(cursor, tenant, "order", hour, "USD", "web", 2, (10 * factor, 20 * factor))
    minute(cursor, tenant, "order", hour, "USD", "app", 1, (3 * factor,))
    minute(cursor, tenant, "order", hour, "EUR", "web", 1, (7 * factor,))
    for kind, count in (("view", 8), ("checkout", 4), ("purchase", 2)):
        minute(cursor, tenant, "session", hour, kind, "web", count * factor)
    minute(cursor, tenant, "session", hour + MINUTE, "purchase", "web", 5 * factor)
    minute(cursor, tenant, "order", hour + 2 * MINUTE, "USD", "web", 1, (1 * factor,))
    for offset, kind, count in ((0, "viewer_join", 5), (1, "viewer_leave", 2), (2, "chat_message", 4)):
        minute(cursor, tenant, "stream", hour + offset * MINUTE, kind, "s", count * factor)
    minute(cursor, tenant, "stream", hour + 2 * MINUTE, "donation", "s", 1, (2.5 * factor,))
    cursor.execute("INSERT INTO data.stream_state (tenant_id, type, entity, name, value) VALUES"
                   " (%s, 'stream', 's', 'active_viewers', %s)", (tenant, 3 * factor))
    cursor.execute("INSERT INTO data.touched_hours (tenant_id, hour) VALUES (%s, %s)", (tenant, hour))
    cursor.execute("INSERT INTO data.touched_days (tenant_id, day) VALUES (%s, date_trunc('day', %s, 'UTC'))",
                   (tenant, hour))
    for number in (1, 2):
        cursor.execute("INSERT INTO data.events (tenant_id, type, event_id, occurred_at, received_at, kind, entity,"
                       " user_id, payload) VALUES (%s, 'signal', gen_random_uuid(), %s, now(), 'click', 'web',"
                       " %s, %s)", (tenant, hour + number * MINUTE, f"user-{tenant}",
                                    json.dumps({"payload": {"secret": tenant}})))
    cursor.execute("INSERT INTO data.anomalies VALUES (%s, gen_random_uuid(), %s, 'high_data_value', 2, %s,"
                   " gen_random_uuid(), %s)", (tenant, f"user-{tenant}", hour, json.dumps({"of": tenant})))
    cursor.execute("INSERT INTO data.alerts VALUES (%s, gen_random_uuid(), gen_random_uuid(), 'revenue', 3, %s,"
                   " NULL, NULL, %s)", (tenant, hour, json.dumps({"of": tenant})))


def rows(store, user, sql, *params):
    return store.query(user, sql, params or None)


def test_the_promised_statement_works_as_it_stands(filled, login, hour):
    alice = login("a")
    found = rows(filled, alice, "SELECT * FROM kpi_minute_view ORDER BY bucket DESC LIMIT 10;")
    assert [(row[0] - hour) // MINUTE for row in found] == [2, 1, 0, 0]
    newest, alone, *pair = found
    assert [str(cell) for cell in newest[1:]] == ["USD", "1", "1", "1", "0", "0", "0", "None"]
    assert [str(cell) for cell in alone[1:]] == ["None", "0", "0", "None", "0", "0", "5", "None"], "no order"
    assert {tuple(map(str, row[1:])) for row in pair} == {
        ("USD", "33", "3", "11", "8", "4", "2", "0.25"), ("EUR", "7", "1", "7", "8", "4", "2", "0.25")}


def test_hours_are_exact_while_they_are_marked(filled, login, hour):
    found = rows(filled, login("a"), "SELECT * FROM kpi_hour_view ORDER BY currency")
    assert [(row[0], *map(str, row[1:])) for row in found] == [
        (hour, "EUR", "7", "1", "7", "8", "4", "7", "0.875"),
        (hour, "USD", "34", "4", "8.5", "8", "4", "7", "0.875")]


def test_columns_of_the_views(filled, login):
    expected = {
        "kpi_minute_view": "bucket currency revenue orders avg_order views checkouts purchases conversion",
        "kpi_hour_view": "bucket currency revenue orders avg_order views checkouts purchases conversion",
        "stream_metrics_minute": "window_start window_end stream_id active_viewers chat_messages donations_usd",
        "signals": "id user_id source type event_ts value payload received_at",
        "anomalies": "id user_id anomaly_type severity detection_ts signal_event_id context"}
    cursor = filled.connect(login("a")).cursor()
    for view, columns in expected.items():
        cursor.execute(f"SELECT * FROM {view}")
        assert [column.name for column in cursor.description] == columns.split()


def test_viewers_at_past_minutes(filled, login, hour):
    found = rows(filled, login("a"), "SELECT window_start, window_end, stream_id, active_viewers, chat_messages,"
                 " donations_usd FROM stream_metrics_minute ORDER BY 1")
    assert [(row[0], *row[2:5], float(row[5])) for row in found] == [
        (hour, "s", 5, 0, 0), (hour + MINUTE, "s", 3, 0, 0), (hour + 2 * MINUTE, "s", 3, 4, 2.5)]
    assert all(row[1] == row[0] + MINUTE for row in found)
    filled.query("owner", "UPDATE data.stream_state SET value = -7 WHERE tenant_id = 'a'")
    found = rows(filled, login("a", "_2"), "SELECT active_viewers FROM stream_metrics_minute")
    assert {row[0] for row in found} == {0}, "never negative to the reader"


def test_a_login_sees_its_tenant_only(filled, login):
    """Everything that is b's is told by its numbers, its user or its context."""
    seen = {}
    for tenant in ("a", "b"):
        user = login(tenant, f"_{tenant}")
        for view in VIEWS:
            seen[tenant, view] = rows(filled, user, f"SELECT * FROM {view}")
    for view in VIEWS:
        mine, other = seen["a", view], seen["b", view]
        assert len(mine) == len(other) > 0, view
        assert "user-b" not in str(mine) and "'b'" not in str(mine), view
    assert sum(row[2] for row in seen["a", "kpi_minute_view"]) == 41
    assert sum(row[2] for row in seen["b", "kpi_minute_view"]) == 41000


def test_no_setting_makes_it_another_tenant(filled, login):
    alice = login("a")
    connection = filled.connect(alice, autocommit=True)
    cursor = connection.cursor()
    for statement in ("SET tidegate.tenant = 'b'", "SELECT set_config('tidegate.tenant', 'b', false)",
                      "SET search_path = pg_temp, api", "SET row_security = off"):
        cursor.execute(statement)
        for view in ("kpi_minute_view", "signals", "anomalies"):
            cursor.execute(f"SELECT * FROM api.{view}")
            assert "user-b" not in str(found := cursor.fetchall()) and found
    for statement in ("SET ROLE tidegate_query", "SET SESSION AUTHORIZATION tidegate_query", "SET ROLE owner",
                      f"ALTER ROLE {alice} SUPERUSER", f"ALTER ROLE {alice} CONNECTION LIMIT -1",
                      "CREATE FUNCTION api.tenant() RETURNS text LANGUAGE sql AS $$ SELECT 'b' $$",
                      "CREATE TABLE api.x (x int)", "CREATE TABLE public.x (x int)", "CREATE ROLE x"):
        cursor.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg2.Error) as raised:
            cursor.execute(statement)
        assert raised.value.pgcode in ("42501", "0A000"), statement


def test_a_function_of_its_own_does_not_become_the_tenant(filled, login):
    """Names in the views are bound when the view is made, not when it is read."""
    cursor = filled.connect(login("a"), autocommit=True).cursor()
    cursor.execute("SET default_transaction_read_only = off")
    cursor.execute("CREATE FUNCTION pg_temp.tenant() RETURNS text LANGUAGE sql AS $$ SELECT 'b' $$")
    cursor.execute("CREATE FUNCTION pg_temp.current_setting(text, boolean) RETURNS text LANGUAGE sql"
                   " AS $$ SELECT 'b' $$")
    cursor.execute("SET search_path = pg_temp, api, pg_catalog")
    cursor.execute("SELECT DISTINCT user_id FROM api.signals")
    assert cursor.fetchall() == [("user-a",)]
    cursor.execute("SELECT api.tenant()")
    assert cursor.fetchall() == [("a",)]


def relations(store):
    return [row[0] for row in store.query(
        "owner", "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                 " WHERE n.nspname IN ('control', 'data', 'migrate') AND c.relkind IN ('r', 'p', 'v', 'm', 'S')")]


def test_what_is_not_in_the_views_is_out_of_reach(filled, login):
    cursor = filled.connect(login("a"), autocommit=True).cursor()
    found = relations(filled)
    assert {"data.events", "data.anomalies", "control.sql_logins", "control.tenants"} <= set(found)
    helpers = ["api.newest_minutes", "api.metric_hour_rolled", "api.marked_hours"]
    for relation in found + helpers + ["pg_catalog.pg_authid", "pg_catalog.pg_statistic"]:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute(f"SELECT * FROM {relation}")
    for statement in ("INSERT INTO signals (user_id) VALUES ('x')", "DELETE FROM anomalies",
                      "UPDATE stream_state SET value = 0"):
        cursor.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg2.Error) as raised:
            cursor.execute(statement)
        assert raised.value.pgcode in ("42501", "55000"), statement
    for call in ("data.ensure_days(ARRAY[]::date[])", "data.refresh_hours(1)", "pg_read_file('/etc/passwd')",
                 "control.bump_config_version()"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute(f"SELECT {call}")


def test_it_cannot_see_other_logins_tenants(filled, login):
    alice, bob = login("a", "_a"), login("b", "_b")
    cursor = filled.connect(alice, autocommit=True).cursor()
    filled.connect(bob).cursor().execute("SELECT 'secret of b'")
    cursor.execute("SELECT query FROM pg_stat_activity WHERE usename = %s", (bob,))
    assert "secret" not in str(cursor.fetchall())
    cursor.execute("SELECT api.tenant()")
    assert cursor.fetchall() == [("a",)]
    cursor.execute("SELECT rolpassword FROM pg_roles WHERE rolname = %s", (bob,))
    assert cursor.fetchall() == [("********",)]
    cursor.execute("SELECT schemaname, tablename FROM pg_stats WHERE schemaname IN ('data', 'control')")
    assert cursor.fetchall() == []


@pytest.mark.parametrize("view, column", [
    ("kpi_minute_view", "revenue"), ("kpi_hour_view", "revenue"), ("stream_metrics_minute", "active_viewers"),
    ("signals", "user_id"), ("anomalies", "user_id"), ("alerts", "context"), ("events", "user_id"),
    ("metric_hour", "sum"), ("metric_day", "sum"), ("stream_state", "value")])
def test_a_leaky_function_is_handed_its_own_rows_only(filled, login, view, column):
    connection = filled.connect(login("a"), autocommit=True)
    cursor = connection.cursor()
    cursor.execute("SET default_transaction_read_only = off")
    cursor.execute("CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 0.0001"
                   " AS $$ BEGIN RAISE NOTICE 'seen %', $1; RETURN true; END $$")
    for method in ("indexscan", "indexonlyscan", "bitmapscan"):  # an index would hide a leak
        cursor.execute(f"SET enable_{method} = off")
    cursor.execute(f"SELECT count(*) FROM {view} WHERE pg_temp.leak({column}::text)")
    assert cursor.fetchone()[0] > 0
    told = "".join(connection.notices)
    assert "seen" in told
    assert "user-b" not in told and "000" not in told and '"b"' not in told


def test_an_explanation_shows_no_others_values(filled, login):
    filled.query("owner", "ANALYZE")
    connection = filled.connect(login("a"), autocommit=True)
    cursor = connection.cursor()
    cursor.execute("SET default_transaction_read_only = off")
    cursor.execute("CREATE FUNCTION pg_temp.leak(text, text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE"
                   " COST 0.0001 AS $$ BEGIN RAISE NOTICE 'seen % %', $1, $2; RETURN true; END $$")
    cursor.execute("CREATE OPERATOR pg_temp.<<< (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_temp.leak,"
                   " RESTRICT = scalarltsel)")
    for view in ("signals", "anomalies", "events"):
        for condition in ("user_id OPERATOR(pg_temp.<<<) 'x'", "user_id = 'user-b'"):
            cursor.execute(f"EXPLAIN (ANALYZE, VERBOSE) SELECT user_id FROM {view} WHERE {condition}")
            plan = "\n".join(row[0] for row in cursor.fetchall())
            assert "user-b" not in plan.replace("'user-b'::text", ""), "only what was asked is shown"
    told = "".join(connection.notices)
    assert "user-a" in told and "user-b" not in told, "the planner's statistics are not handed out"


def verifier_fits(verifier, password):
    """RFC 5802: the stored key is the hash of the client key that the password gives."""
    head, rest = verifier.split(":", 1)
    scheme, rounds = head.split("$")
    salt, keys = rest.split("$")
    stored, _ = keys.split(":")
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(rounds))
    client = hmac.digest(salted, b"Client Key", "sha256")
    return scheme == "SCRAM-SHA-256" and hashlib.sha256(client).digest() == base64.b64decode(stored)


def test_the_password_is_printed_once_and_is_the_roles(filled, cluster, name):
    password = filled.tidegate("sql-login", "create", name, "--tenant", "a", "--connections", "2").stdout.strip()
    assert len(password) == 48
    admin = cluster.connect("postgres", "postgres", autocommit=True)
    cursor = admin.cursor()
    cursor.execute("SELECT rolpassword, rolconnlimit, rolcanlogin, rolsuper OR rolcreaterole OR rolcreatedb"
                   " OR rolreplication OR rolbypassrls FROM pg_authid WHERE rolname = %s", (name,))
    verifier, limit, can_login, special = cursor.fetchone()
    admin.close()
    assert verifier_fits(verifier, password) and not verifier_fits(verifier, "x" + password[1:])
    assert (limit, can_login, special) == (2, True, False)
    listed = filled.tidegate("sql-login", "list").stdout
    assert name in listed and password not in listed
    two = [filled.connect(name) for _ in range(2)]
    with pytest.raises(psycopg2.OperationalError, match="too many connections"):
        filled.connect(name)
    cursor = two[0].cursor()
    for setting, value in (("search_path", "api"), ("statement_timeout", "1min"),
                           ("idle_in_transaction_session_timeout", "1min"),
                           ("default_transaction_read_only", "on")):
        cursor.execute(f"SHOW {setting}")
        assert cursor.fetchone() == (value,)
    assert filled.tidegate("sql-login", "drop", name).returncode == 0


def test_dropping_ends_sessions_and_what_they_own(filled, login, name):
    login("a")
    connection = filled.connect(name, autocommit=True)
    cursor = connection.cursor()
    cursor.execute("SET default_transaction_read_only = off")
    cursor.execute("CREATE TEMP TABLE own (x int)")
    result = filled.tidegate("sql-login", "drop", name)
    assert result.returncode == 0, result.stderr
    with pytest.raises(psycopg2.OperationalError):
        cursor.execute("SELECT 1")
    with pytest.raises(psycopg2.OperationalError):
        filled.connect(name)
    assert filled.query("owner", "SELECT * FROM control.sql_logins") == []
    assert name not in filled.tidegate("sql-login", "list").stdout


def test_a_disabled_tenants_login_reads_nothing(filled, login):
    alice = login("a")
    assert filled.tidegate("tenant", "disable", "a").returncode == 0
    for view in VIEWS:
        assert rows(filled, alice, f"SELECT * FROM {view}") == []
    assert filled.tidegate("tenant", "enable", "a").returncode == 0
    assert rows(filled, alice, "SELECT * FROM signals")


@pytest.mark.parametrize("args, code, text", [
    (("create", "x y", "--tenant", "a"), 2, "a-z, 0-9"),
    (("create", "tidegate_query", "--tenant", "a"), 2, "tidegate"),
    (("create", "pg_x", "--tenant", "a"), 2, "pg_"),
    (("create", "someone"), 2, "--tenant"),
    (("create", "someone", "--tenant", "nobody"), 1, "no tenant nobody"),
    (("create", "someone", "--tenant", "a", "--connections", "0"), 2, "--connections"),
    (("create", "owner", "--tenant", "a"), 1, "owner"),
    (("drop", "owner"), 1, "no login owner"),
    (("drop", "someone"), 1, "no login someone"),
])
def test_a_refusal_names_its_reason_and_changes_nothing(filled, args, code, text):
    result = filled.tidegate("sql-login", *args)
    assert (result.returncode, result.stdout) == (code, "")
    assert text in result.stderr
    assert filled.query("owner", "SELECT * FROM control.sql_logins") == []
    assert filled.query("owner", "SELECT * FROM pg_roles WHERE rolname IN ('someone', 'x y', 'pg_x')") == []


def test_a_login_cannot_be_made_twice(filled, login, name):
    login("a")
    result = filled.tidegate("sql-login", "create", name, "--tenant", "b")
    assert (result.returncode, result.stdout) == (1, "")
    assert "exists" in result.stderr
    assert filled.query("owner", "SELECT tenant_id FROM control.sql_logins") == [("a",)]


def test_the_newest_kpis_do_not_read_the_whole_history(filled, login, hour):
    """In order out of the index, so that LIMIT ends the reading."""
    cursor = filled.connect(login("a")).cursor()
    cursor.execute("SET enable_seqscan = off")
    cursor.execute("EXPLAIN SELECT * FROM kpi_minute_view ORDER BY bucket DESC LIMIT 10")
    plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "Merge Append" in plan and "HashAggregate" not in plan, plan


@pytest.mark.parametrize("view, column", [("newest_minutes", "entity"), ("marked_hours", "hour"),
                                          ("signals", "user_id"), ("anomalies", "user_id"), ("alerts", "name")])
def test_the_services_own_views_are_barriers_as_well(filled, view, column):
    """Each visible row is handed to a leaky function once, and nobody else's."""
    assert filled.query("tidegate_query", f"SELECT * FROM api.{view}") == []
    connection = filled.connect("tidegate_query")
    cursor = connection.cursor()
    cursor.execute("CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 0.0001"
                   " AS $$ BEGIN RAISE NOTICE 'seen %', $1; RETURN true; END $$")
    cursor.execute("SET LOCAL tidegate.tenant = 'a'")
    for method in ("indexscan", "indexonlyscan", "bitmapscan"):
        cursor.execute(f"SET LOCAL enable_{method} = off")
    connection.notices.clear()
    cursor.execute(f"SELECT {column}::text FROM api.{view} WHERE pg_temp.leak({column}::text)")
    visible = [row[0] for row in cursor.fetchall()]
    told = [notice.strip().removeprefix("NOTICE:  seen ") for notice in connection.notices if "seen" in notice]
    assert visible and sorted(told) == sorted(visible)
