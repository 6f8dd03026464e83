"""The operator's commands on tenants and keys, and the number that tells the services."""

import hashlib
import zlib

import psycopg2
import pytest

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def version(store):
    return store.query("tidegate_gateway", "SELECT version FROM control.config_version")[0][0]


def test_a_key_is_printed_once_and_stored_as_a_digest(store):
    assert store.tidegate("tenant", "create", "acme", "--name", "Acme").returncode == 0
    result = store.tidegate("key", "create", "--tenant", "acme", "--scopes", "read,ingest",
                            "--expires", "30d", "--description", "till 7")
    assert result.returncode == 0, result.stderr
    key = result.stdout.removesuffix("\n")
    assert len(key) == 54 and key.startswith("tg_") and key[15] == "_"
    rest = zlib.crc32(key[:48].encode())
    checksum = "".join(DIGITS[rest // 62**i % 62] for i in range(5, -1, -1))
    assert key[48:] == checksum
    (row,) = store.query("tidegate_gateway", "SELECT id, tenant_id, secret_sha256, scopes,"
                         " expires_at - created_at = interval '720 hours', description"
                         " FROM control.api_keys")
    assert row[:2] == (key[3:15], "acme")
    assert bytes(row[2]) == hashlib.sha256(key.encode()).digest()
    assert row[3:] == (["ingest", "read"], True, "till 7")
    assert key[16:48] not in store.tidegate("key", "list").stdout


def test_a_revoked_key_says_so_and_revoking_twice_keeps_the_first_time(store):
    store.tidegate("tenant", "create", "acme")
    key = store.tidegate("key", "create", "--tenant=acme", "--scopes=read").stdout
    assert store.tidegate("key", "revoke", key[3:15]).returncode == 0
    (first,) = store.query("owner", "SELECT revoked_at FROM control.api_keys")
    assert store.tidegate("key", "revoke", key[3:15]).returncode == 0
    assert store.query("owner", "SELECT revoked_at FROM control.api_keys") == [first]
    assert "revoked" in store.tidegate("key", "list", "--tenant", "acme").stdout


@pytest.mark.parametrize("args, code, text", [
    (("tenant", "create", "Acme"), 2, "a-z, 0-9"),
    (("tenant", "create", "acme"), 1, "tenant acme exists."),
    (("tenant", "create", "other", "--plan", "none"), 1, "plan"),
    (("tenant", "disable", "nobody"), 1, 'no tenant "nobody"'),
    (("key", "create", "--tenant", "nobody", "--scopes", "read"), 1, 'no tenant "nobody"'),
    (("key", "create", "--tenant", "acme", "--scopes", "root"), 2, "root"),
    (("key", "revoke", "000000000000"), 1, "no key"),
    (("plan", "set", "p", "--requests-per-second", "x", "--burst", "1"), 2, "integer"),
    (("plan", "set", "p", "--requests-per-second", "0", "--burst", "1"), 1, "limits.requests_per_second"),
    (("plan", "set", "p", "--limits", "colour=1"), 1, "limits.colour"),
    (("plan", "delete", "default"), 1, "default"),
    (("tenant", "update", "acme", "--limits", "weight=0"), 1, "limits.weight"),
    (("tenant", "delete", "acme"), 2, "--yes"),
    (("key", "create", "--tenant", "acme", "--scopes", "admin"), 1, "operator"),
    (("key", "rotate", "000000000000"), 1, "no key"),
    (("key", "rotate", "000000000000", "--overlap", "31d"), 2, "1s to 30d"),
    (("nothing",), 2, "no such command"),
])
def test_a_refusal_names_its_reason(store, args, code, text):
    store.tidegate("tenant", "create", "acme")
    result = store.tidegate(*args)
    assert result.returncode == code
    assert text in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("change", [
    "INSERT INTO control.tenants (id) VALUES ('acme')",
    "UPDATE control.tenants SET disabled_at = now()",
    "INSERT INTO control.api_keys (id, tenant_id, secret_sha256, scopes)"
    " SELECT '000000000000', id, sha256(''), '{read}' FROM control.tenants",
    "UPDATE control.api_keys SET revoked_at = now()",
    "DELETE FROM control.api_keys",
    "UPDATE control.plans SET burst = 1",
])
def test_every_change_moves_the_version_with_its_commit(store, change):
    before = version(store)
    owner = store.connect("owner")
    owner.cursor().execute(change)
    assert version(store) == before
    owner.commit()
    assert version(store) == before + 1


def test_every_command_that_changes_something_moves_the_version(store):
    seen = [version(store)]
    store.tidegate("tenant", "create", "acme")
    seen.append(version(store))
    key = store.tidegate("key", "create", "--tenant=acme", "--scopes=read").stdout
    seen.append(version(store))
    for command in (("key", "revoke", key[3:15]), ("tenant", "disable", "acme"),
                    ("tenant", "enable", "acme"),
                    ("plan", "set", "big", "--requests-per-second", "9", "--burst", "9")):
        assert store.tidegate(*command).returncode == 0
        seen.append(version(store))
    assert seen == sorted(set(seen))


def test_registering_a_schema_moves_the_version_and_races_end_in_one_row(store):
    before = version(store)
    row = ("INSERT INTO control.schemas (context, schema, fingerprint) VALUES"
           " ('acme', '{}', sha256('{}')) ON CONFLICT (context, fingerprint) DO NOTHING"
           " RETURNING id")
    ((schema_id,),) = store.query("tidegate_registry", row)
    assert store.query("tidegate_registry", row) == []
    link = ("INSERT INTO control.subject_versions (context, subject, version, schema_id)"
            " VALUES ('acme', 'x-value', %s, %s)")
    store.query("tidegate_registry", link, (1, schema_id))
    assert version(store) > before
    for number in (1, 2):  # the same version, and the same schema under another version
        with pytest.raises(psycopg2.errors.UniqueViolation):
            store.query("tidegate_registry", link, (number, schema_id))
    with pytest.raises(psycopg2.errors.ForeignKeyViolation):  # another context's schema
        store.query("tidegate_registry", link.replace("'acme'", "'other'"), (1, schema_id))


def test_status_shows_the_store(store):
    result = store.tidegate("status")
    assert result.returncode == 0, result.stderr
    for title in ("== store", "== events", "== offsets", "== leases"):
        assert title in result.stdout
