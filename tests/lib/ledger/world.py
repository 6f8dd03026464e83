"""The stack of the ledger test: one of its own, of which every link between two parts leads through toxiproxy."""

import configparser
import contextlib
import os
import time

import requests
from lib.ledger.proxy import Toxiproxy
from lib.process import Service
from lib.stack import SERVICES, Stack, StackError
from lib.store import Store
from lib.tenants import make_plan
from lib.topics import Topics
from lib.waiting import until

# link -> (offset of the port to listen on, offset of the port behind it), from the stack's port base
LINKS = {"gateway": (30, 0), "ingestion": (31, 1), "kafka": (32, 26), "worker-kafka": (33, 27),
         "postgres": (34, 22), "worker-postgres": (35, 22), "redis": (36, 23)}
API = 37  # toxiproxy's own

# Whoever is cut off, all of its links are. A worker has two.
LINKS_OF = {"gateway": ("gateway",), "ingestion": ("ingestion",), "worker": ("worker-kafka", "worker-postgres"),
            "kafka": ("kafka", "worker-kafka"), "postgres": ("postgres", "worker-postgres"), "redis": ("redis",)}

WORKER = {"kafka.session_timeout": "3s", "maintenance.interval": "1s"}  # a round has no time for ten seconds


class World:
    """Use as a context. The stack is made anew, and removed at the end unless something went wrong."""

    def __init__(self, run, base, programs=None):
        self.stack = LinkedStack(run, base, programs)
        self.proxy = None
        self.store = None
        self.topics = None
        self.exits = contextlib.ExitStack()

    def __enter__(self):
        self.stack.command("clean")
        self.stack.run.mkdir(parents=True)
        (self.stack.run / "base").write_text(f"{self.stack.base}\n", encoding="ascii")
        try:
            self._enter()
        except BaseException:
            self.stack.command("down", check=False)
            self.exits.close()
            raise
        return self

    def _enter(self):
        links = {name: (self.stack.base + listen, self.stack.base + behind) for name, (listen, behind) in LINKS.items()}
        self.proxy = self.exits.enter_context(
            Toxiproxy(self.stack.base + API, links, self.stack.run / "toxiproxy.log"))
        self.stack.command("stores")
        self.stack.link_settings()
        self.stack.up()
        make_plan(self.stack)
        self.store = Store(self.stack.env["TIDEGATE_DSN"], self.stack.direct_dsn("query"))
        self.topics = Topics(self.stack.env["TIDEGATE_KAFKA"])

    def __exit__(self, kind, *_):
        self.stack.command("down", check=False)  # before its links go
        self.exits.close()
        self.store.owner.close()
        if kind is None:
            self.stack.command("clean")

    @property
    def url(self):
        """The gateway's, through its link."""
        return f"http://127.0.0.1:{self.stack.base + LINKS['gateway'][0]}"

    def second_worker(self):
        """A further worker, as a context; with one, the partitions move when the first comes and goes."""
        return Service(self.stack, "worker", own_ports=True)

    def revive(self, name, seconds):
        """Starts a part until it stays, as a supervisor would."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.stack.start(name)
                return
            except StackError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.2)

    def heal(self, seconds=90):
        """All links are whole, all parts run and are ready."""
        self.proxy.reset()
        for name in ("postgres", "kafka", "redis", *SERVICES):
            self.stack.command("resume", name, check=False)
            self.revive(name, seconds)
        for name in SERVICES:
            until(lambda service=name: self.is_ready(service), seconds, f"{name} is ready again", every=0.1)

    def is_ready(self, name):
        try:
            return requests.get(self.stack.admin(name) + "/ready", timeout=5).status_code == 200
        except requests.RequestException:
            return False


class LinkedStack(Stack):
    """A stack whose services reach each other and the stores through the links; its own scripts go straight."""

    def command(self, *args, check=True, timeout=180, **extra):
        behind = " ".join(f"{self.base + LINKS[link][1]}:{self.base + LINKS[link][0]}"
                          for link in ("kafka", "worker-kafka"))
        return super().command(*args, check=check, timeout=timeout, TIDEGATE_KAFKA_BEHIND=behind, **extra)

    def _port(self, link):
        return self.base + LINKS[link][0]

    def direct_dsn(self, service):
        return self.settings(service)["pg.dsn"].replace(
            f"port={self._port('postgres')} ", f"port={self.base + LINKS['postgres'][1]} ")

    def link_settings(self):
        """Edits tidegate.ini, which is the user's once it is made."""
        path = self.run / "tidegate.ini"
        parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
        parser.read(path)
        straight = f"port={self.base + LINKS['postgres'][1]} "
        for service in ("gateway", "registry", "query", "worker"):
            link = "worker-postgres" if service == "worker" else "postgres"
            dsn = parser[service]["pg.dsn"]
            assert straight in dsn
            parser[service]["pg.dsn"] = dsn.replace(straight, f"port={self._port(link)} ")
        parser["gateway"]["ingestion.instances"] = f"127.0.0.1:{self._port('ingestion')}"
        parser["ingestion"]["kafka.brokers"] = f"127.0.0.1:{self._port('kafka')}"
        parser["worker"].update({"kafka.brokers": f"127.0.0.1:{self._port('worker-kafka')}", **WORKER})
        parser["query"]["redis.address"] = f"127.0.0.1:{self._port('redis')}"
        heading = path.read_text(encoding="utf-8").split("\n", 1)[0]  # it says the port base
        with open(os.open(path, os.O_WRONLY | os.O_TRUNC), "w", encoding="utf-8") as file:
            file.write(heading + "\n")
            parser.write(file)
