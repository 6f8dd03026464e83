"""The gateway's tenants and keys in memory: what 100,000 tenants and 200,000 keys take, how long reading them takes,
and when a revocation among them is felt.

They are put there by SQL, without the triggers that write the audit log. A gateway of its own is asked, so that its
memory and its start are those of one process that has done nothing else.
"""

import time
from statistics import median

from bench.instance import Gateway
from bench.procs import rss_mib
from bench.result import Result, rounds, say

TENANTS, KEYS = 100_000, 200_000
PORT = 54  # above the stack's base
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


def _gauge(gateway, what):
    return gateway.metric("tidegate_gateway_snapshot", what=what)


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
        with Gateway(stack, PORT) as gateway:
            time.sleep(1.5)  # the gauges are set each second
            figures = {what: _gauge(gateway, what) for what in ("tenants", "keys", "bytes", "load_microseconds")}
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
                f" {_gauge(gateway, 'load_microseconds') / 1000:.1f} ms",
                others=others,
                figures=had,
            )
    finally:
        stack.sql(EMPTY)
