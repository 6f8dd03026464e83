"""The gateway's tenants and keys in memory: what 100,000 tenants and 200,000 keys take, how long reading them takes,
and when a revocation among them is felt.

They are put there by SQL, without the triggers that write the audit log. A gateway of its own is asked, so that its
memory and its start are those of one process that has done nothing else.
"""

import re
import time
import urllib.error
import urllib.request
from statistics import median

from bench.procs import cpu_seconds, rss_mib
from bench.result import Result, rounds, say
from bench.stack import BenchError

TENANTS, KEYS = 100_000, 200_000
PORT = 54  # above the stack's base; its admin port is ten above
CHANGES = 20

QUIET = "ALTER TABLE control.{table} {verb} TRIGGER USER;"
QUIETLY = "\n".join(QUIET.format(table=table, verb="DISABLE") for table in ("tenants", "api_keys"))
LOUDLY = "\n".join(QUIET.format(table=table, verb="ENABLE") for table in ("tenants", "api_keys"))
TELL = "UPDATE control.config_version SET version = version + 1, floor = version + 1;"
# Each tenth tenant has a limit of its own. Room is left for the stack's own tenants.
FILL = f"""
{QUIETLY}
INSERT INTO control.tenants (id, limits)
SELECT 'bench-' || n, CASE WHEN n % 10 = 0 THEN '{{"weight": 7}}'::jsonb ELSE '{{}}' END
FROM generate_series(1, {TENANTS} - 10 - (SELECT count(*)::integer FROM control.tenants)) AS n;
INSERT INTO control.api_keys (id, tenant_id, secret_sha256, scopes)
SELECT lpad(n::text, 12, 'b'), 'bench-' || (n % 90000 + 1), sha256(n::text::bytea), '{{ingest,read}}'
FROM generate_series(1, {KEYS}) AS n;
{LOUDLY}
ANALYZE control.tenants, control.api_keys;
{TELL}
"""
EMPTY = f"""
{QUIETLY}
DELETE FROM control.api_keys WHERE tenant_id LIKE 'bench-%';
DELETE FROM control.tenants WHERE id LIKE 'bench-%';
{LOUDLY}
{TELL}
"""


class Instance:
    """A gateway of the benchmark's own on the stack's database."""

    def __init__(self, stack):
        self.stack = stack
        self.url = f"http://127.0.0.1:{stack.base + PORT}"
        self.admin = f"http://127.0.0.1:{stack.base + PORT + 10}"

    def __enter__(self):
        start = time.monotonic()
        self.process = self.stack.tool_start(
            "tidegate-gateway",
            f"--http.listen=127.0.0.1:{self.stack.base + PORT}",
            f"--http.admin_listen=127.0.0.1:{self.stack.base + PORT + 10}",
            "--watch.first=60s",
            "--log.level=error",
            TIDEGATE_CONFIG=str(self.stack.run / "tidegate.ini"),
        )
        self.stack.wait_for_port(self.stack.base + PORT, self.process, 60)
        self.start_ms = (time.monotonic() - start) * 1000
        self.start_cpu_ms = cpu_seconds(self.process.pid) * 1000
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate()

    def gauge(self, what):
        with urllib.request.urlopen(self.admin + "/metrics", timeout=10) as answer:
            text = answer.read().decode()
        found = re.search(rf'^tidegate_gateway_snapshot{{what="{what}"}} (\d+)', text, re.MULTILINE)
        if found is None:
            raise BenchError(f"the gateway tells no {what}")
        return int(found[1])

    def status(self, key):
        request = urllib.request.Request(self.url + "/v1/kpi/latest", headers={"X-API-Key": key})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def wait(self, key, refused):
        """Seconds until the key is refused, or is not."""
        start = time.monotonic()
        while (self.status(key) == 401) != refused:
            if time.monotonic() > start + 20:
                raise BenchError("the gateway does not follow a change")
            time.sleep(0.002)
        return time.monotonic() - start


def _revocations(stack, gateway, tenant):
    """From the end of the command to the refusal."""
    seconds = []
    for _ in range(stack.size(CHANGES)):
        key = stack.tidegate("key", "create", "--tenant", tenant, "--scopes", "read").strip()
        gateway.wait(key, refused=False)
        stack.tidegate("key", "revoke", key[3:15])
        seconds.append(gateway.wait(key, refused=True))
    return {"median_ms": median(seconds) * 1000, "worst_ms": max(seconds) * 1000}


def measure(stack):
    say(f"directory: {TENANTS:,} tenants, {KEYS:,} keys")
    stack.tidegate("tenant", "create", "bench-changes", "--if-not-exists")
    stack.sql(FILL)
    try:
        with Instance(stack) as gateway:
            time.sleep(1.5)  # the gauges are set each second
            figures = {what: gauge for what in ("tenants", "keys", "bytes", "load_microseconds")
                       for gauge in (gateway.gauge(what),)}
            memory = rss_mib(gateway.process.pid)
            yield Result(
                name=f"directory, {TENANTS:,} tenants and {KEYS:,} keys",
                unit="MiB",
                ours=figures["bytes"] / 2**20,
                bar=64,
                detail=f"process {memory:.0f} MiB; start to ready {gateway.start_ms:,.0f} ms, of CPU"
                f" {gateway.start_cpu_ms:,.0f} ms",
                figures=figures | {"rss_mib": memory, "start_ms": gateway.start_ms},
            )
            (had,), others = rounds(stack, lambda: _revocations(stack, gateway, "bench-changes"), 1)
            yield Result(
                name="directory, a revocation felt, the worst",
                unit="ms",
                ours=had["worst_ms"],
                bar=1000,
                detail=f"median {had['median_ms']:.0f} ms; reading the change took"
                f" {gateway.gauge('load_microseconds') / 1000:.1f} ms",
                others=others,
                figures=had,
            )
    finally:
        stack.sql(EMPTY)
