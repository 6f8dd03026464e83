"""tidegate-migrate: what is applied once stays as it was, whoever runs it and how often."""

import shutil

import pytest

from engines import ENGINES
from lib.stack import ROOT


@pytest.fixture
def files(tmp_path):
    """A copy of the migrations that a test may change."""
    for folder in ("common", "plain", "timescale"):
        shutil.copytree(ROOT / "migrations" / folder, tmp_path / folder)
    return tmp_path


@pytest.fixture
def own(files, empty):
    """The folder of the engine under test."""
    return files / empty.engine


def applied(database):
    return database.query("owner", "SELECT number, name, sha256, applied_at FROM migrate.applied"
                                   " ORDER BY number")


def test_up_twice_applies_once(empty):
    first = empty.migrate("up")
    assert first.returncode == 0, first.stderr
    before = applied(empty)
    assert len(before) >= 7
    second = empty.migrate("up")
    assert second.returncode == 0, second.stderr
    assert f"0 of {len(before)} migrations applied now" in second.stdout
    assert applied(empty) == before


def test_dry_run_names_all_and_changes_nothing(empty):
    result = empty.migrate("up", "--dry-run")
    assert result.returncode == 0, result.stderr
    assert "0001_schemas_and_roles.sql would be applied" in result.stdout
    assert empty.query("owner", "SELECT nspname FROM pg_namespace WHERE nspname IN"
                                " ('migrate', 'data', 'control', 'api')") == []


def test_status_tells_pending_from_applied(empty, files, own):
    empty.migrate("up", f"--migrations.dir={files}")
    (own / "9000_more.sql").write_text("CREATE TABLE data.more (x int);")
    result = empty.migrate("status", f"--migrations.dir={files}")
    assert result.returncode == 0, result.stderr
    lines = dict(line.split() for line in result.stdout.splitlines())
    assert lines.pop("engine") == empty.engine
    assert lines.pop("9000_more.sql") == "pending"
    assert all(value.endswith("Z") for value in lines.values())
    assert empty.migrate("up", f"--migrations.dir={files}").returncode == 0
    assert "pending" not in empty.migrate("status", f"--migrations.dir={files}").stdout


@pytest.mark.parametrize("command", ["up", "status"])
def test_a_changed_applied_file_is_refused_by_name(empty, files, command):
    empty.migrate("up", f"--migrations.dir={files}")
    path = files / "common" / "0002_control.sql"
    path.write_text(path.read_text() + "\n")
    result = empty.migrate(command, f"--migrations.dir={files}")
    assert result.returncode == 1
    assert "0002_control.sql was changed after it was applied" in result.stderr


def test_a_missing_applied_file_is_refused_by_name(empty, files, own):
    empty.migrate("up", f"--migrations.dir={files}")
    (own / "0006_rollups.sql").unlink()
    result = empty.migrate("up", f"--migrations.dir={files}")
    assert result.returncode == 1
    assert "0006_rollups.sql is applied but not among the files" in result.stderr


def test_a_file_that_comes_too_late_is_refused(empty, files, own):
    (own / "9001_last.sql").write_text("SELECT 1;")
    assert empty.migrate("up", f"--migrations.dir={files}").returncode == 0
    (own / "9000_late.sql").write_text("SELECT 1;")
    result = empty.migrate("up", f"--migrations.dir={files}")
    assert result.returncode == 1
    assert "9000_late.sql comes too late: 9001_last.sql" in result.stderr


def test_the_engine_is_chosen_once_and_recorded(empty):
    assert empty.migrate("up", "--store.engine=auto").returncode == 0
    offered = ENGINES[-1]
    assert empty.query("owner", "SELECT name FROM migrate.engine") == [(offered,)]
    assert empty.query("tidegate_worker", "SELECT data.engine()") == [(offered,)]
    for engine in ("auto", offered):
        assert empty.migrate("up", f"--store.engine={engine}").returncode == 0
    asked = "plain" if offered == "timescale" else "other"
    for command in (["up"], ["up", "--dry-run"], ["status"]):
        result = empty.migrate(*command, f"--store.engine={asked}")
        assert result.returncode == 1
        assert f'made for engine "{offered}", not "{asked}"' in result.stderr
        assert "leave store.engine at auto" in result.stderr


def test_auto_keeps_to_what_is_recorded(empty):
    assert empty.migrate("up", "--store.engine=plain").returncode == 0
    result = empty.migrate("up", "--store.engine=auto")
    assert result.returncode == 0
    assert "engine plain: 0 of" in result.stdout


@pytest.mark.skipif("timescale" in ENGINES, reason="this server offers TimescaleDB")
def test_an_engine_that_the_server_lacks_is_refused(empty):
    result = empty.migrate("up", "--store.engine=timescale")
    assert result.returncode == 1
    assert "shared_preload_libraries" in result.stderr
    assert empty.query("owner", "SELECT to_regclass('migrate.engine')") == [(None,)]
    assert empty.migrate("up", "--store.engine=plain").returncode == 0
    empty.query("owner", "UPDATE migrate.engine SET name = 'timescale'")  # as if made elsewhere
    for command in ("up", "status"):
        result = empty.migrate(command, "--store.engine=auto")
        assert result.returncode == 1
        assert "made for engine \"timescale\", but this server has not loaded" in result.stderr


@pytest.mark.parametrize("engine", ["common", "../plain", "nothing"])
def test_an_engine_without_files_of_its_own_is_refused(empty, engine):
    result = empty.migrate("up", f"--store.engine={engine}")
    assert result.returncode == 1
    assert engine in result.stderr


def test_a_failing_file_leaves_nothing_and_names_its_line(empty, files, own):
    (own / "9000_bad.sql").write_text(
        "CREATE TABLE data.half (x int);\n-- é\n\nSELECT nothing_like_it;\n")
    result = empty.migrate("up", f"--migrations.dir={files}")
    assert result.returncode == 1
    assert "9000_bad.sql:4: " in result.stderr
    assert empty.query("owner", "SELECT to_regclass('data.half')") == [(None,)]
    assert max(row[0] for row in applied(empty)) < 9000
    (own / "9000_bad.sql").write_text("CREATE TABLE data.half (x int);")
    assert empty.migrate("up", f"--migrations.dir={files}").returncode == 0
    assert max(row[0] for row in applied(empty)) == 9000


def test_a_file_that_ends_its_own_transaction_is_refused(empty, files, own):
    (own / "9000_commit.sql").write_text("SELECT 1; COMMIT;")
    result = empty.migrate("up", f"--migrations.dir={files}")
    assert result.returncode == 1
    assert "9000_commit.sql ends its own transaction" in result.stderr


def test_concurrent_runs_apply_each_file_once(empty):
    runs = [empty.start("tidegate-migrate", "up") for _ in range(4)]
    results = [run.communicate(timeout=60) for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0, 0], results
    lines = [line.split()[0] for out, _ in results for line in out.splitlines()
             if " applied in " in line]
    assert len(lines) == len(set(lines)) == len(applied(empty))


def test_a_run_that_waits_too_long_says_why(empty):
    holder = empty.connect("owner")
    holder.cursor().execute("SELECT pg_advisory_lock(7305810436925448805)")
    result = empty.migrate("up", "--lock.wait=50ms")
    assert result.returncode == 1
    assert "another run has held the lock" in result.stderr


def test_a_wrong_command_is_a_usage_error(empty):
    for args in ([], ["down"], ["up", "--force"], ["up", "again"]):
        assert empty.migrate(*args).returncode == 2


def test_the_migrations_need_no_superuser(store):
    assert store.query("owner", "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == [
        (False,)]


@pytest.mark.skipif("timescale" not in ENGINES, reason="no TimescaleDB on this server")
def test_the_plans_that_timescaledb_fails_with_are_switched_off_for_the_database(empty):
    assert empty.migrate("up").returncode == 0
    settings = empty.query("owner", "SELECT unnest(setconfig) FROM pg_db_role_setting s JOIN pg_database d"
                                    " ON d.oid = s.setdatabase WHERE d.datname = current_database()")
    assert ("timescaledb.enable_skipscan=off",) in settings
