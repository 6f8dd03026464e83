"""The benchmark's own stack: started with release programs on ports and in a run directory of its
own, and always taken down again.
"""

import json
import os
import shlex
import socket
import subprocess
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
SERVICES = ("gateway", "ingestion", "worker", "query", "registry")
STORES = ("postgres", "kafka", "redis")
TENANT = "demo"
LOGINS = {"owner": "tidegate", "postgres": "postgres", "query": "tidegate_query"}
SECRETS = {"owner": "tidegate", "postgres": "postgres", "query": "query"}
STORED = """
DO $$ BEGIN
    FOR i IN 1 .. {times} LOOP
        IF (SELECT coalesce(sum(next_offset), 0) FROM data.consumer_offsets) >= {ends} THEN RETURN; END IF;
        COMMIT;
        PERFORM pg_sleep(0.1);
    END LOOP;
    RAISE EXCEPTION 'the worker does not store what is in Kafka';
END $$;
"""


class BenchError(Exception):
    """What kept a measurement from being made, in words for the user."""


def postgres_bin():
    """Where the newest PostgreSQL's programs are."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise BenchError("no PostgreSQL server is installed")
    return found[-1].parent


def engines():
    """The storage engines that the server offers: plain PostgreSQL always, TimescaleDB if it is installed."""
    library = postgres_bin().parent / "lib"
    has = any((library / part / "timescaledb.so").exists() for part in ("", "postgresql"))
    return ["plain", "timescale"] if has else ["plain"]


class Stack:
    def __init__(self, run, base, binaries, engine, patience=0, quick=False):
        self.run = Path(run).resolve()
        self.bin = Path(binaries).resolve()
        self.base = base
        self.engine = engine
        self.patience = patience  # s that a round may wait for other processes to be quiet
        self.quick = quick  # one round of a tenth: shows that all works, measures nothing
        self._environ = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")}
        self._environ |= {
            "TIDEGATE_RUN": str(self.run),
            "TIDEGATE_PORT_BASE": str(base),
            "TIDEGATE_BIN": str(self.bin),
            "TIDEGATE_DEMO": "0",
            "TIDEGATE_ENGINE": engine,
        }
        self.env = {}
        self._tools = []

    def _stack(self, *words, extra=None, quiet=True):
        done = subprocess.run(
            [str(TOP / "deploy/local/stack"), *words],
            env=self._environ | (extra or {}),
            capture_output=quiet,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode != 0:
            raise BenchError(f"stack {' '.join(words)}: {(done.stderr or '').strip()}")
        return done.stdout or ""

    def __enter__(self):
        try:
            self._stack("clean")
            self._stack("up")
        except BaseException:
            self.__exit__(BenchError, None, None)
            raise
        for line in self._stack("env").splitlines():
            name, _, value = line.partition("=")
            self.env[name] = shlex.split(value)[0] if value else ""
        return self

    def __exit__(self, failure, *_):
        """Ends every process; data and logs stay only when something went wrong."""
        for tool in self._tools:
            if tool.poll() is None:
                tool.kill()
                tool.wait()
        try:
            self._stack("clean" if failure is None else "down")
        except BenchError as error:
            print(f"bench: {error}")

    def size(self, count):
        return count // 10 if self.quick else count

    # --- processes ---

    def pid(self, name):
        return int((self.run / "pid" / name).read_text(encoding="ascii").split()[0])

    def runs(self, name):
        return (self.run / "pid" / name).exists()

    def pids(self):
        return [self.pid(name) for name in SERVICES + STORES if self.runs(name)]

    def start(self, name, **settings):
        """Starts a service; settings are environment variables."""
        self._stack("start", name, extra=settings)

    def stop(self, name):
        self._stack("stop", name)

    def tidegate(self, *words):
        done = subprocess.run(
            [str(self.bin / "tidegate"), *words],
            env=self._environ | {"TIDEGATE_CONFIG": str(self.run / "tidegate.ini")},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise BenchError(f"tidegate {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def lift_limits(self):
        """The bars are about the services, not about the demo plan's 1,000 requests per second."""
        self.tidegate("plan", "set", "default", "--requests-per-second", "1000000", "--burst", "1000000")
        time.sleep(1)  # the gateway's configuration watch takes at most 300 ms

    # --- programs ---

    def tool(self, name, *words, **environ):
        """Runs a benchmark program to its end and returns the JSON object that it printed."""
        return finish(self.tool_start(name, *words, **environ))

    def tool_start(self, name, *words, **environ):
        """Starts one of the benchmark's programs, or any other by its whole path."""
        tool = subprocess.Popen(
            [str(self.bin / name), *map(str, words)],
            env=self._environ | environ,
            cwd=TOP,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._tools.append(tool)
        return tool

    def wait_for_port(self, port, process, seconds=20):
        """Until `process`, which was just started, listens there."""
        deadline = time.monotonic() + seconds
        while True:
            if process.poll() is not None:
                raise BenchError(f"{Path(process.args[0]).name}: {(process.stderr.read() or '').strip()}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise BenchError(f"nothing listens on port {port} after {seconds} s") from None
            time.sleep(0.02)

    def load(self, *words, target=None):
        """http_load, started; finish() gives its figures."""
        return self.tool_start(
            "http_load",
            f"--load.target={target or self.env['TIDEGATE_URL'].partition('//')[2]}",
            *words,
            TIDEGATE_HTTP_LOAD_LOAD_KEY=self.env["TIDEGATE_KEY"],
        )

    # --- stores ---

    def psql(self, login, **more):
        """psql with the rights of owner, postgres (superuser) or query, reading standard input."""
        dsn = dict(pair.split("=", 1) for pair in shlex.split(self.env["TIDEGATE_DSN"]))
        process = subprocess.Popen(
            ["psql", "-X", "-q", "-At", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-f", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environ
            | {
                "PGHOST": dsn["host"],
                "PGPORT": dsn["port"],
                "PGDATABASE": dsn["dbname"],
                "PGUSER": LOGINS[login],
                "PGPASSWORD": (self.run / "secrets" / SECRETS[login]).read_text().strip(),
            }
            | more,
        )
        self._tools.append(process)
        return process

    def lines(self, text, login="owner"):
        """Runs SQL; all lines that it printed."""
        process = self.psql(login)
        out, err = process.communicate(text)
        if process.returncode != 0:
            raise BenchError(f"psql: {err.strip()}")
        return out.splitlines()

    def sql(self, text, login="owner"):
        """Runs SQL; its results, one list per row."""
        return [line.split("\t") for line in self.lines(text, login)]

    def parallel_sql(self, texts):
        """Runs each text in a connection of its own, side by side."""
        running = []
        for text in texts:
            process = self.psql("owner")
            running.append(process)
            process.stdin.write(text)
            process.stdin.close()
            process.stdin = None
        for process in running:
            _, err = process.communicate()
            if process.returncode != 0:
                raise BenchError(f"psql: {err.strip()}")

    def _offsets(self):
        """[topic, partition, "first", first, "next", next] of each partition that the worker reads."""
        lines = self.tidegate("topics", "offsets").splitlines()
        return [line.split() for line in lines if line.startswith("events.") and not line.startswith("events.dlq")]

    def forget_backlog(self):
        """With the worker stopped: what Kafka holds now will never be stored."""
        for row in self._offsets():
            self.sql(
                "INSERT INTO data.consumer_offsets AS o (topic, partition, epoch, next_offset)"
                f" VALUES ('{row[0]}', {row[1]}, 1, {row[5]}) ON CONFLICT (topic, partition)"
                " DO UPDATE SET next_offset = excluded.next_offset;"
            )

    def settle(self, seconds=120):
        """Waits until the worker has stored all that is in Kafka now. The server itself looks: a client that comes
        again and again would take what is measured meanwhile a tenth of a processor."""
        ends = sum(int(row[5]) for row in self._offsets())
        self.sql(STORED.format(ends=ends, times=10 * seconds))


def finish(process):
    """The figures that a tool printed."""
    out, err = process.communicate()
    if process.returncode != 0:
        raise BenchError(f"{Path(process.args[0]).name}: {err.strip()}")
    return json.loads(out)
