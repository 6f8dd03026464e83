"""Who sees what: the api views show the connection's tenant and nothing else."""

import psycopg2
import pytest
from upkeep import Upkeep

VIEWS = ["events", "metric_minute", "metric_hour", "metric_day", "stream_state"]


@pytest.fixture
def filled(store):
    """One row in every view for each of two tenants, touched and refreshed hours among them."""
    for tenant in ("a", "b"):
        store.query("owner", "INSERT INTO control.tenants (id) VALUES (%s)", (tenant,))
    worker = store.connect("tidegate_worker", autocommit=True)
    cursor = worker.cursor()
    cursor.execute("SELECT data.ensure_days(ARRAY[(now() AT TIME ZONE 'UTC')::date,"
                   " (now() AT TIME ZONE 'UTC')::date - 3])")
    for tenant in ("a", "b"):
        for age in ("0 hours", "72 hours"):
            cursor.execute(
                "INSERT INTO data.events (tenant_id, type, event_id, occurred_at, received_at)"
                " VALUES (%s, 'order', gen_random_uuid(), now() - %s::interval, now())",
                (tenant, age))
            cursor.execute(
                "INSERT INTO data.metric_minute (tenant_id, type, bucket, count)"
                " VALUES (%s, 'order', date_trunc('minute', now() - %s::interval), 1)",
                (tenant, age))
            cursor.execute("INSERT INTO data.touched_hours (tenant_id, hour)"
                           " VALUES (%s, date_trunc('hour', now() - %s::interval))", (tenant, age))
        cursor.execute("INSERT INTO data.stream_state (tenant_id, type, entity, name, value)"
                       " VALUES (%s, 'stream', 's', 'active_viewers', 3)", (tenant,))
    Upkeep(store).refresh_all()
    return store


def tenants_seen(cursor, view):
    cursor.execute(f"SELECT DISTINCT tenant_id FROM api.{view} ORDER BY 1")
    return [row[0] for row in cursor.fetchall()]


@pytest.mark.parametrize("view", VIEWS)
def test_without_a_tenant_nothing_shows(filled, view):
    assert filled.query("tidegate_query", f"SELECT * FROM api.{view}") == []


@pytest.mark.parametrize("view", VIEWS)
def test_a_tenant_sees_its_own_rows_only(filled, view):
    connection = filled.connect("tidegate_query")
    for tenant in ("a", "b", "nobody", "", "a' OR '1'='1"):
        cursor = connection.cursor()
        cursor.execute("SELECT set_config('tidegate.tenant', %s, true)", (tenant,))
        assert tenants_seen(cursor, view) == ([tenant] if tenant in ("a", "b") else [])
        connection.rollback()


@pytest.mark.parametrize("view", VIEWS)
def test_a_reused_connection_knows_no_tenant(filled, view):
    connection = filled.connect("tidegate_query")
    cursor = connection.cursor()
    for end in (connection.commit, connection.rollback):
        cursor.execute("SET LOCAL tidegate.tenant = 'a'")
        assert tenants_seen(cursor, view) == ["a"]
        end()
        assert tenants_seen(cursor, view) == []
        end()


@pytest.mark.parametrize("view", VIEWS)
def test_a_leaky_condition_runs_on_the_tenants_rows_only(filled, view):
    """A function in the user's own WHERE must not be handed another tenant's rows."""
    connection = filled.connect("tidegate_query")
    cursor = connection.cursor()
    cursor.execute("CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001"
                   " AS $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$")
    cursor.execute("SET LOCAL tidegate.tenant = 'a'")
    for method in ("indexscan", "indexonlyscan", "bitmapscan"):  # an index would hide a leak
        cursor.execute(f"SET LOCAL enable_{method} = off")
    cursor.execute(f"SELECT count(*) FROM api.{view} WHERE pg_temp.leak(tenant_id)")
    assert cursor.fetchone()[0] > 0
    assert {notice.split()[-1] for notice in connection.notices} == {"a"}


def test_another_sql_login_reads_as_its_own_tenant_whatever_it_sets(filled, cluster):
    admin = cluster.connect("postgres", "postgres", autocommit=True)
    cursor = admin.cursor()
    cursor.execute("CREATE ROLE alice LOGIN IN ROLE tidegate_sql")
    cursor.execute("CREATE ROLE mallory LOGIN IN ROLE tidegate_sql")
    try:
        filled.query("owner", "INSERT INTO control.sql_logins VALUES ('alice', 'a')")
        for login, expected in (("alice", ["a"]), ("mallory", [])):
            connection = filled.connect(login)
            mine = connection.cursor()
            for tenant in ("a", "b", ""):
                mine.execute("SELECT set_config('tidegate.tenant', %s, false)", (tenant,))
                for view in VIEWS:
                    assert tenants_seen(mine, view) == expected
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                mine.execute("SET ROLE tidegate_query")
            connection.close()
    finally:
        filled.close()
        cursor.execute("DROP ROLE alice")
        cursor.execute("DROP ROLE mallory")
        admin.close()


def test_the_owner_sees_nothing_through_the_views(filled):
    connection = filled.connect("owner")
    cursor = connection.cursor()
    cursor.execute("SET LOCAL tidegate.tenant = 'a'")
    for view in VIEWS:
        assert tenants_seen(cursor, view) == []


def relations(store, *schemas):
    return [row[0] for row in store.query(
        "owner", "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n"
                 " ON n.oid = c.relnamespace WHERE n.nspname = ANY(%s) AND c.relkind IN"
                 " ('r', 'p', 'v', 'S') ORDER BY 1", (list(schemas),))]


BINS = ("unbinned_hours", "metric_hour_bins", "metric_hour_kind_bins", "late_bins")

# Everything that a role may do to a relation; whatever is not listed must be refused.
RIGHTS = {
    "tidegate_query": {f"api.{view}": {"SELECT"} for view in
                       (*VIEWS, *BINS, "signals", "anomalies", "alerts", "newest_minutes",
                        "metric_hour_rolled", "marked_hours")},
    "tidegate_sql": {f"api.{view}": {"SELECT"} for view in
                     (*VIEWS, *BINS, "signals", "anomalies", "alerts", "kpi_minute_view", "kpi_hour_view",
                      "stream_metrics_minute")},
    "tidegate_gateway": {f"control.{table}": {"SELECT"} for table in
                         ("tenants", "plans", "api_keys", "config_version", "changes")},
    "tidegate_admin": {},  # functions alone
    "tidegate_registry": {
        "control.schemas": {"SELECT", "INSERT", "UPDATE", "DELETE"},
        "control.subjects": {"SELECT", "INSERT", "UPDATE"},
        "control.subject_versions": {"SELECT", "INSERT", "UPDATE", "DELETE"},
        "control.schema_references": {"SELECT", "INSERT", "DELETE"},
        "control.registry_state": {"SELECT", "UPDATE"},
        "control.config_version": {"SELECT"},
        "control.schema_ids": {"USAGE"},
        "control.event_types": {"SELECT"},
        "control.registry_settings": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    },
    "tidegate_ingestion": {f"control.{table}": {"SELECT"} for table in ("config_version", "event_types")},
    "tidegate_worker": {
        "control.tenants": {"SELECT"}, "control.plans": {"SELECT"},
        "control.config_version": {"SELECT"},
        "data.events": {"SELECT", "INSERT"},
        "data.metric_minute": {"SELECT", "INSERT", "UPDATE"},
        "data.horizon": {"SELECT"},
        "data.event_times": {"SELECT", "INSERT", "DELETE"},
        "data.late_bins": {"INSERT"},
        "data.stream_state": {"SELECT", "INSERT", "UPDATE"},
        "data.consumer_offsets": {"SELECT", "INSERT", "UPDATE"},
        "data.leases": {"SELECT", "INSERT", "UPDATE"},
        "data.dead_letters": {"SELECT", "INSERT", "UPDATE"},
    },
}


ALL = {"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"}

# What only the worker has, and differently.
WORKERS_RIGHTS = {
    "plain": {
        "data.metric_hour": {"SELECT", "INSERT", "DELETE"},
        "data.metric_day": {"SELECT", "INSERT", "DELETE"},
        "data.touched_hours": {"SELECT", "INSERT", "DELETE"},
        "data.touched_days": {"SELECT", "INSERT", "DELETE"},
    },
    "timescale": {
        "data.metric_hour": ALL,  # continuous aggregates: only the owner may refresh them
        "data.metric_day": ALL,
        "data.touched_hours": {"SELECT", "INSERT", "UPDATE", "DELETE"},
        "data.touched_days": {"SELECT", "INSERT", "UPDATE", "DELETE"},
        "data.refreshes": {"SELECT", "INSERT", "UPDATE", "DELETE"},
        "data.refresh_numbers": {"USAGE"},
    },
}


@pytest.mark.parametrize("role", sorted(RIGHTS))
def test_a_role_has_exactly_its_rights(filled, role):
    found = {}
    for relation, right in filled.query(
            "owner", "SELECT r.name, p.name FROM unnest(%s) AS r (name),"
            " unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER,USAGE}'::text[])"
            " AS p (name) WHERE CASE"
            " WHEN (SELECT relkind = 'S' FROM pg_class WHERE oid = r.name::regclass)"
            " THEN p.name IN ('SELECT', 'UPDATE', 'USAGE')"
            "      AND has_sequence_privilege(%s, r.name, p.name)"
            " ELSE p.name <> 'USAGE' AND has_table_privilege(%s, r.name, p.name) END",
            (relations(filled, "control", "data", "api", "migrate"), role, role)):
        found.setdefault(relation, set()).add(right)
    more = WORKERS_RIGHTS[filled.engine] if role == "tidegate_worker" else {}
    assert found == {**RIGHTS[role], **more}


def test_the_query_role_cannot_even_name_what_is_in_data(filled):
    for relation in relations(filled, "data"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            filled.query("tidegate_query", f"SELECT * FROM {relation}")
    for call in ("data.ensure_days(ARRAY[]::date[])", "data.refresh_hours(1)",
                 "data.make_day('events', '2026-01-01')"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            filled.query("tidegate_query", f"SELECT {call}")


@pytest.mark.parametrize("role", ["tidegate_query", "tidegate_worker", "tidegate_gateway",
                                  "tidegate_registry", "tidegate_ingestion"])
def test_no_service_can_make_objects_or_change_others(filled, role):
    for sql in ("CREATE TABLE data.x (x int)", "CREATE TABLE api.x (x int)",
                "CREATE TABLE control.x (x int)", "CREATE TABLE public.x (x int)",
                "CREATE SCHEMA x", "UPDATE control.config_version SET version = 0",
                "INSERT INTO control.sql_logins VALUES ('x', 'a')", "SET ROLE owner",
                "SELECT control.bump_config_version()"):
        with pytest.raises(psycopg2.Error) as raised:
            filled.query(role, sql)
        assert raised.value.pgcode in ("42501", "0A000"), sql


def test_the_bucket_reaches_the_index_through_the_hour_view(filled):
    connection = filled.connect("tidegate_query")
    cursor = connection.cursor()
    cursor.execute("SET LOCAL tidegate.tenant = 'a'")
    cursor.execute("SET LOCAL enable_seqscan = off")
    cursor.execute("EXPLAIN SELECT * FROM api.metric_hour WHERE type = 'order'"
                   " AND bucket >= now() - interval '1 day'")
    plan = "\n".join(row[0] for row in cursor.fetchall())
    minute = plan[plan.index("metric_minute"):]
    assert "bucket >=" in minute and "tenant_id =" in minute and "type =" in minute
    assert "hour >= (now()" in plan
