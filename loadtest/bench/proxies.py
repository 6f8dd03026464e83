"""What people put before their services: Debian's nginx and HAProxy, each with a map of API keys and a limit per
tenant, unpacked into build/proxies when first needed (loadtest/peers/install-proxies).
"""

import subprocess

from bench.procs import family
from bench.stack import TOP, BenchError

HERE = TOP / "loadtest/peers"
PROGRAMS = TOP / "build/proxies"


def install():
    done = subprocess.run([str(HERE / "install-proxies")], check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise BenchError("nginx and HAProxy could not be had")


class Peer:
    """A peer's server, for the length of a block."""

    def __init__(self, stack, port, words, **environ):
        self._stack, self._port, self._words, self._environ = stack, stack.base + port, words, environ
        self.target = f"127.0.0.1:{self._port}"

    def __enter__(self):
        self._process = self._stack.tool_start(*self._words, **self._environ)
        self._stack.wait_for_port(self._port, self._process)
        return self

    @property
    def pids(self):
        return family([self._process.pid])

    def __exit__(self, *_):
        self._process.terminate()
        try:
            self._process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()


def _configure(stack, template, keys, upstream, port):
    """The peer's directory and configuration; `keys` is a dict of keys and their tenants."""
    directory = stack.run / template.partition(".")[0]
    directory.mkdir(exist_ok=True)
    end = ";" if template.startswith("nginx") else ""
    lines = (f"{key} {tenant}{end}\n" for key, tenant in keys.items())
    (directory / "keys.map").write_text("".join(lines), encoding="ascii")
    text = (HERE / template).read_text(encoding="utf-8")
    for name, value in {"dir": directory, "upstream": upstream, "port": stack.base + port}.items():
        text = text.replace(f"{{{name}}}", str(value))
    path = directory / template
    path.write_text(text, encoding="utf-8")
    return directory, path


def nginx(stack, port, keys, upstream, before=()):
    """Listens `port` above the stack's base; `before` are the words of a program that starts it."""
    directory, path = _configure(stack, "nginx.conf", keys, upstream, port)
    return Peer(stack, port, (*before, PROGRAMS / "usr/sbin/nginx", "-p", directory, "-c", path))


def haproxy(stack, port, keys, upstream, before=()):
    _, path = _configure(stack, "haproxy.cfg", keys, upstream, port)
    libraries = ":".join(str(found) for found in PROGRAMS.glob("usr/lib/*-linux-gnu"))
    words = (*before, PROGRAMS / "usr/sbin/haproxy", "-db", "-q", "-f", path)
    return Peer(stack, port, words, LD_LIBRARY_PATH=libraries)
