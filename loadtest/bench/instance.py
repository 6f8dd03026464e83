"""A gateway of the benchmark's own on the stack's database, told where its upstreams are, and what stands in for
those: so that a measurement is of one process that has done nothing else.
"""

import re
import time
import urllib.error
import urllib.request

from bench.procs import cpu_seconds
from bench.stack import BenchError

ADMIN = 10  # above a gateway's port


class Gateway:
    """Listens `port` above the stack's base; `before` are the words of a program that starts it."""

    def __init__(self, stack, port, *words, before=()):
        self.stack = stack
        self.port = stack.base + port
        self.target = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.target}"
        self.admin = f"http://127.0.0.1:{self.port + ADMIN}"
        self._words = words
        self._before = before

    def __enter__(self):
        start = time.monotonic()
        self.process = self.stack.tool_start(
            *self._before,
            self.stack.bin / "tidegate-gateway",
            f"--http.listen={self.target}",
            f"--http.admin_listen=127.0.0.1:{self.port + ADMIN}",
            "--watch.first=60s",
            "--log.level=error",
            "--http.max_per_address=100000",  # all load comes from one
            *self._words,
            TIDEGATE_CONFIG=str(self.stack.run / "tidegate.ini"),
        )
        self.stack.wait_for_port(self.port, self.process, 60)
        self.start_ms = (time.monotonic() - start) * 1000
        self.start_cpu_ms = cpu_seconds(self.process.pid) * 1000
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate()

    @property
    def pids(self):
        return [self.process.pid]

    def metric(self, name, **labels):
        """The sum of the samples that have these labels; 0 when there are none."""
        with urllib.request.urlopen(self.admin + "/metrics", timeout=10) as answer:
            text = answer.read().decode()
        total = 0.0
        for had, value in re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", text, re.MULTILINE):
            if all(f'{label}="{wanted}"' in had for label, wanted in labels.items()):
                total += float(value)
        return total

    def status(self, key, path="/v1/kpi/latest"):
        request = urllib.request.Request(self.url + path, headers={"X-API-Key": key})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def wait(self, key, refused=False):
        """Seconds until the key is refused, or is not."""
        start = time.monotonic()
        while (self.status(key) == 401) != refused:
            if time.monotonic() > start + 20:
                raise BenchError("the gateway does not follow a change")
            time.sleep(0.002)
        return time.monotonic() - start


class Stub:
    """http_stub, `port` above the stack's base."""

    def __init__(self, stack, port, *words, before=()):
        self._stack, self.port = stack, stack.base + port
        self._words = (*before, stack.bin / "http_stub", f"--stub.port={self.port}", *words)
        self.target = f"127.0.0.1:{self.port}"

    def __enter__(self):
        self._process = self._stack.tool_start(*self._words)
        self._stack.wait_for_port(self.port, self._process)
        return self

    @property
    def pid(self):
        return self._process.pid

    def signal(self, number):
        self._process.send_signal(number)

    def __exit__(self, *_):
        self._process.kill()
        self._process.communicate()
