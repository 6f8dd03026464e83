"""A service as a child of the tests, in place of the stack's own or beside it: with fault points, other
settings, and an exit code that can be read."""

import os
import signal
import socket
import subprocess

import requests

from lib.waiting import until


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Service:
    """One process of a tidegate service. Leaving the `with` block ends it, however it is."""

    def __init__(self, stack, name, fault="", own_ports=False, **settings):
        """`settings`: kafka_session_timeout="2s" is TIDEGATE_<NAME>_KAFKA_SESSION_TIMEOUT. With
        own_ports it can run beside the stack's own instance."""
        self.name = name
        self.stack = stack
        self.admin = stack.admin(name)
        if own_ports:
            port = free_port()
            settings["http_admin_listen"] = f"127.0.0.1:{port}"
            self.admin = f"http://127.0.0.1:{port}"
        prefix = f"TIDEGATE_{name.upper()}_"
        self.environment = {**os.environ, "TIDEGATE_CONFIG": stack.env["TIDEGATE_CONFIG"],
                            "TIDEGATE_FAULT": fault,
                            **{prefix + key.upper(): str(value) for key, value in settings.items()}}
        self.process = None

    def __enter__(self):
        with open(self.stack.run / "log" / f"{self.name}.log", "ab") as log:
            self.process = subprocess.Popen([str(self.stack.bin / f"tidegate-{self.name}")],
                                            env=self.environment, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def signal(self, number):
        os.kill(self.process.pid, number)

    def is_stopped(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(") ", 1)[1].startswith("T")

    def is_ready(self):
        try:
            return requests.get(self.admin + "/ready", timeout=2).status_code == 200
        except requests.RequestException:
            return False

    def wait_ready(self, seconds=20):
        def ready():
            assert self.process.poll() is None, f"{self.name} ended with {self.process.poll()}"
            return self.is_ready()
        until(ready, seconds, f"{self.name} is ready", every=0.05)
        return self

    def terminate(self, seconds=10):
        """SIGTERM; the exit code, which must come within `seconds`."""
        self.signal(signal.SIGTERM)
        return self.process.wait(timeout=seconds)
