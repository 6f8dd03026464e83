"""The local stack under test, through deploy/local/stack: the one of TIDEGATE_RUN, TIDEGATE_PORT_BASE and
TIDEGATE_BIN, which tools/test sets (by default build/test-run, 18080, build/faults/bin)."""

import configparser
import os
import pathlib
import shlex
import socket
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVICES = ("gateway", "ingestion", "query", "registry", "worker")


class StackError(AssertionError):
    pass


class Stack:
    def __init__(self, run=None, base=None, programs=None):
        run = run or os.environ.get("TIDEGATE_RUN", ROOT / "build" / "test-run")
        self.run = pathlib.Path(run).resolve()
        self.base = int(base or os.environ.get("TIDEGATE_PORT_BASE", 18080))
        programs = programs or os.environ.get("TIDEGATE_BIN", ROOT / "build" / "faults" / "bin")
        self.bin = pathlib.Path(programs).resolve()
        self._env = None

    def command(self, *args, check=True, timeout=180, **extra):
        """Runs deploy/local/stack ARGS; its output. `extra` are further environment variables. There is no
        simulator beside the tests unless one is started by name."""
        environment = {**os.environ, "TIDEGATE_RUN": str(self.run), "TIDEGATE_BIN": str(self.bin),
                       "TIDEGATE_PORT_BASE": str(self.base), "TIDEGATE_DEMO": "0", **extra}
        done = subprocess.run([str(ROOT / "deploy" / "local" / "stack"), *args], env=environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout, check=False)
        if check and done.returncode != 0:
            raise StackError(f"stack {' '.join(args)}: {done.stdout}{done.stderr}")
        return done.stdout

    def is_up(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.base)) == 0

    def up(self):
        self.command("up")

    def down(self):
        self.command("down")

    def start(self, name):
        self.command("start", name)

    def stop(self, name):
        self.command("stop", name)

    @property
    def env(self):
        """What `stack env` prints: TIDEGATE_URL, TIDEGATE_DSN, …"""
        if self._env is None:
            pairs = (line.split("=", 1) for line in self.command("env").splitlines())
            self._env = {name: "".join(shlex.split(value)) for name, value in pairs}
        return self._env

    @property
    def url(self):
        return self.env["TIDEGATE_URL"]

    def admin(self, service):
        return self.env[f"TIDEGATE_ADMIN_{service.upper()}"]

    def settings(self, section):
        """One section of the stack's tidegate.ini; [tidegate] applies to all."""
        parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
        parser.read(self.env["TIDEGATE_CONFIG"])
        return {**parser["tidegate"], **parser[section]}

    def upstream(self, service):
        """The address at which the gateway reaches a service."""
        return "http://" + self.settings(service)["http.listen"]

    @property
    def secret(self):
        return self.settings("gateway")["gateway.secret"]

    def pid(self, name):
        """The pid that the stack recorded, of a process that lives."""
        pid = int((self.run / "pid" / name).read_text(encoding="ascii").split()[0])
        os.kill(pid, 0)
        return pid

    def cli(self, *args):
        done = subprocess.run([str(self.bin / "tidegate"), *args], capture_output=True, text=True,
                              env={**os.environ, "TIDEGATE_CONFIG": self.env["TIDEGATE_CONFIG"]},
                              timeout=30, check=False)
        if done.returncode != 0:
            raise StackError(f"tidegate {' '.join(args)}: {done.stderr}")
        return done.stdout.strip()

    def log_tail(self, name, lines=15):
        path = self.run / "log" / f"{name}.log"
        if not path.exists():
            return ""
        return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def users_stack():
    """The stack of `make up`: ./run unless TIDEGATE_RUN says otherwise; its port base is recorded there."""
    run = pathlib.Path(os.environ.get("TIDEGATE_RUN", ROOT / "run"))
    recorded = run / "base"
    base = os.environ.get("TIDEGATE_PORT_BASE") or (recorded.read_text() if recorded.exists() else 8080)
    stack = Stack(run, base, os.environ.get("TIDEGATE_BIN", ROOT / "build" / "release" / "bin"))
    if not (run / "demo.key").exists() or not stack.is_up():
        raise StackError(f"nothing answers on port {stack.base}; first: make up")
    return stack
