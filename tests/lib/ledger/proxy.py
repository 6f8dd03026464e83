"""toxiproxy: TCP proxies whose links can be cut, slowed and reset while a test runs.

It comes from the Go module proxy at one pinned version, built once by Debian's Go into build/tools. This is the
last line that Debian 12's Go 1.19 builds. Go's checksum database vouches for what was fetched."""

import os
import shutil
import signal
import subprocess

import requests
from lib.stack import ROOT, StackError
from lib.waiting import until

MODULE = "github.com/Shopify/toxiproxy/v2/cmd/server"
VERSION = "v2.5.0"
PROGRAM = ROOT / "build" / "tools" / f"toxiproxy-{VERSION}"


def build():
    """The program's path; builds it if it is not there. Go's own caches stay out of the user's home."""
    if PROGRAM.exists():
        return PROGRAM
    work = PROGRAM.parent / f"go-{os.getpid()}"
    go = next((path for path in ("/usr/bin/go", shutil.which("go")) if path and os.path.exists(path)), None)
    if go is None:
        raise StackError("no Go found; run: deploy/local/install test")
    environment = {**os.environ, "GOPATH": str(work / "path"), "GOCACHE": str(work / "cache"), "GOBIN": str(work),
                   "GOFLAGS": "-modcacherw", "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
    work.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run([go, "install", f"{MODULE}@{VERSION}"], env=environment, cwd=work, capture_output=True,
                              text=True, timeout=600, check=False)
        if done.returncode != 0:
            raise StackError(f"toxiproxy {VERSION} could not be built: {done.stderr}")
        os.replace(work / "server", PROGRAM)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return PROGRAM


class Toxiproxy:
    """One running toxiproxy with its HTTP API. Use as a context."""

    def __init__(self, port, links, log):
        """`links`: name -> (port to listen on, port behind it), all on loopback."""
        self.port = port
        self.base = f"http://127.0.0.1:{port}"
        self.links = links
        self.log = log
        self.session = requests.Session()
        self.session.trust_env = False
        self.process = None

    def __enter__(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([str(build()), "-host", "127.0.0.1", "-port", str(self.port)],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            until(self._answers, 20, "toxiproxy answers")
            for name, (listen, behind) in self.links.items():
                self._call("POST", "/proxies", name=name, listen=f"127.0.0.1:{listen}",
                           upstream=f"127.0.0.1:{behind}", enabled=True)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def _answers(self):
        assert self.process.poll() is None, f"toxiproxy ended with {self.process.poll()}; see {self.log}"
        try:
            return self.session.get(self.base + "/version", timeout=2).status_code == 200
        except requests.RequestException:
            return False

    def _call(self, method, path, **body):
        answer = self.session.request(method, self.base + path, json=body or None, timeout=30)
        assert answer.status_code < 300, f"toxiproxy {method} {path}: {answer.status_code} {answer.text}"

    def poison(self, link, name, kind, direction, **attributes):
        """A toxic of toxiproxy's (timeout, latency, reset_peer, limit_data) on one or both directions of a link. The
        name keeps it apart from others on the same link."""
        for stream in streams(direction):
            self._call("POST", f"/proxies/{link}/toxics", name=f"{name}-{stream}", type=kind, stream=stream,
                       toxicity=1.0, attributes=attributes)

    def cure(self, link, name, direction):
        for stream in streams(direction):
            self._call("DELETE", f"/proxies/{link}/toxics/{name}-{stream}")

    def reset(self):
        """All links are as new."""
        self._call("POST", "/reset")


def streams(direction):
    return ("upstream", "downstream") if direction == "both" else (direction,)
