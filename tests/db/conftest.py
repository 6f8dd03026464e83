"""A PostgreSQL cluster of our own for the tests of the store: made in a temporary folder, reached
through a Unix socket, gone afterwards. Each test gets a fresh copy of a migrated database, and runs once for
each storage engine that the server offers: plain always, timescale where its library is installed (not with
TIDEGATE_ENGINE=plain).

TIDEGATE_TEST_BIN names the folder with the programs (default: build/dev/bin)."""

import contextlib
import itertools
import os
import pathlib
import shutil
import subprocess
import tempfile

import psycopg2
import pytest
from engines import ENGINES, postgres_bin

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("TIDEGATE_TEST_BIN", ROOT / "build" / "dev" / "bin")).resolve()
PORT = "5432"  # a part of the socket's name only


def pytest_report_header():
    return "engines under tests/db: " + ", ".join(ENGINES)


def pytest_terminal_summary(terminalreporter):
    missing = "" if "timescale" in ENGINES else " (no TimescaleDB on this server: not compared with it)"
    terminalreporter.write_line("tests/db: engines " + ", ".join(ENGINES) + missing)


class Cluster:
    """One server; `owner` runs the migrations and is no superuser."""

    def __init__(self, folder):
        self.folder = folder
        self.bin = postgres_bin()
        # PostgreSQL refuses root and must be able to enter its working directory.
        self.prefix = (["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
                       if os.geteuid() == 0 else [])
        self.numbers = itertools.count(1)

    def run(self, program, *args):
        subprocess.run([*self.prefix, str(self.bin / program), *args], cwd="/", check=True,
                       stdout=subprocess.DEVNULL, timeout=60)

    def start(self):
        if self.prefix:
            shutil.chown(self.folder, "postgres", "postgres")
        self.run("initdb", "-D", f"{self.folder}/data", "-A", "trust", "-U", "postgres", "-E",
                 "UTF8", "--locale=C.UTF-8", "--no-sync")
        options = (f"-c listen_addresses='' -c unix_socket_directories={self.folder} -c fsync=off"
                   " -c max_connections=50 -c timezone=America/New_York")
        if "timescale" in ENGINES:
            options += (" -c shared_preload_libraries=timescaledb -c timescaledb.telemetry_level=off"
                        " -c timescaledb.max_background_workers=0 -c timescaledb.enable_skipscan=off")
        self.run("pg_ctl", "-D", f"{self.folder}/data", "-w", "-l", f"{self.folder}/log", "-o",
                 options, "start")
        with self.connect("postgres", "postgres") as connection:
            connection.cursor().execute("CREATE ROLE owner LOGIN CREATEROLE")
        connection.close()

    def stop(self):
        self.run("pg_ctl", "-D", f"{self.folder}/data", "-m", "immediate", "-w", "stop")

    def dsn(self, database, user):
        return f"host={self.folder} port={PORT} dbname={database} user={user}"

    def connect(self, database, user, autocommit=False):
        connection = psycopg2.connect(self.dsn(database, user))
        connection.autocommit = autocommit
        return connection

    def create_database(self, template="template1"):
        name = f"t{next(self.numbers)}"
        admin = self.connect("postgres", "postgres", autocommit=True)
        admin.cursor().execute(f"CREATE DATABASE {name} OWNER owner TEMPLATE {template}")
        admin.close()
        return name

    def drop_database(self, name):
        admin = self.connect("postgres", "postgres", autocommit=True)
        admin.cursor().execute(f"DROP DATABASE {name} WITH (FORCE)")
        admin.close()


class Database:
    """One database of the cluster, with the programs that work on it."""

    def __init__(self, cluster, name, engine="auto"):
        self.cluster = cluster
        self.name = name
        self.engine = engine
        self.connections = []

    def connect(self, user, autocommit=False):
        connection = self.cluster.connect(self.name, user, autocommit)
        self.connections.append(connection)
        return connection

    def query(self, user, sql, params=None):
        """The rows of one statement in a connection and transaction of its own."""
        connection = self.connect(user, autocommit=True)
        with connection.cursor() as cursor:
            cursor.execute(sql, params)
            rows = cursor.fetchall() if cursor.description else []
        connection.close()
        return rows

    def environment(self):
        dsn = self.cluster.dsn(self.name, "owner")
        return {"PATH": os.environ["PATH"], "TIDEGATE_MIGRATE_PG_DSN": dsn,
                "TIDEGATE_CLI_PG_DSN": dsn, "TIDEGATE_MIGRATE_STORE_ENGINE": self.engine}

    def start(self, program, *args):
        return subprocess.Popen([str(BIN / program), *args], cwd=ROOT, env=self.environment(),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, program, *args):
        process = self.start(program, *args)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(args, process.returncode, out, err)

    def migrate(self, *args):
        return self.run("tidegate-migrate", *args)

    def tidegate(self, *args):
        return self.run("tidegate", *args)

    def close(self):
        for connection in self.connections:
            connection.close()


@pytest.fixture(scope="session")
def cluster():
    with tempfile.TemporaryDirectory(prefix="tg-db-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        server = Cluster(folder)
        server.start()
        yield server
        server.stop()


def migrate(cluster, engine):
    """The name of a migrated database that tests copy and never change."""
    name = cluster.create_database()
    result = Database(cluster, name, engine).migrate("up")
    assert result.returncode == 0, result.stderr
    return name


@pytest.fixture(scope="session")
def migrated(cluster):
    """By engine."""
    return {engine: migrate(cluster, engine) for engine in ENGINES}


@contextlib.contextmanager
def opened(cluster, engine, template="template1"):
    database = Database(cluster, cluster.create_database(template), engine)
    yield database
    database.close()
    cluster.drop_database(database.name)


@pytest.fixture
def empty(cluster):
    with opened(cluster, ENGINES[-1]) as database:
        yield database


@pytest.fixture(params=ENGINES)
def store(cluster, migrated, request):
    with opened(cluster, request.param, migrated[request.param]) as database:
        yield database


@pytest.fixture
def stores(cluster, migrated):
    """A fresh database of each engine."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(opened(cluster, engine, migrated[engine])) for engine in ENGINES]
