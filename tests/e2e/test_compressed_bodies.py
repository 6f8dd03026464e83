"""Content-Encoding gzip and zstd on both ways of sending events: what is taken, and what bombs, broken and
trailing bytes cost."""

import gzip
import json
import random
import zlib

import pytest
import zstandard
from lib import events, metrics
from lib.api import error_of
from lib.waiting import until

MIB = 1 << 20
PACK = {"gzip": lambda data: gzip.compress(data, 6), "zstd": zstandard.ZstdCompressor(level=3).compress}
CODINGS = tuple(PACK)


def order(number):
    return {"order_id": f"o-{number}", "customer_id": "c", "amount": number, "currency": "USD",
            "channel": "web", "event_time": events.rfc3339(events.now())}


def batch(tenant, coding, packed, **headers):
    return tenant.api.batch(packed, headers={"Content-Encoding": coding, **headers}, type="order")


@pytest.fixture(autouse=True)
def unharmed(stack):
    """The same process before and after."""
    pid = stack.pid("ingestion")
    yield
    assert stack.pid("ingestion") == pid


@pytest.mark.parametrize("coding", CODINGS)
def test_all_forms_may_be_compressed(tenant, coding):
    pack, encoded = PACK[coding], {"Content-Encoding": coding}
    items = [order(n) for n in range(4)]
    flat = {"order_id": "single", **{k: v for k, v in order(9).items() if k != "order_id"}}
    cloud = {"specversion": "1.0", "id": "ce", "source": "/s", "type": "order", "data": flat | {"order_id": "ce"}}
    lines = "\n".join(json.dumps(item) for item in items[2:]).encode()
    sent = [
        batch(tenant, coding, pack(json.dumps(items[:2]).encode())),
        batch(tenant, coding, pack(lines), **{"Content-Type": "application/x-ndjson"}),
        batch(tenant, coding, pack(json.dumps(cloud).encode()), **{"Content-Type": "application/cloudevents+json"}),
        tenant.api.post("order", pack(json.dumps(flat).encode()), headers=encoded),
    ]
    assert [response.status_code for response in sent] == [202] * 4, [response.text for response in sent]
    rows = tenant.wait_for(6)
    assert {row.payload["order_id"] for row in rows} == {"o-0", "o-1", "o-2", "o-3", "ce", "single"}
    tenant.check_folds()


@pytest.mark.parametrize("coding", CODINGS)
def test_ten_thousand_events_in_one_compressed_request(tenant, coding):
    readings = [{"device_id": f"d-{n % 10}", "metric": "m", "value": n} for n in range(10000)]
    response = tenant.api.batch(PACK[coding](json.dumps(readings).encode()), type="reading",
                                headers={"Content-Encoding": coding})
    assert response.json()["accepted"] == 10000
    tenant.wait_for(10000, seconds=30)


@pytest.mark.parametrize("coding", CODINGS)
def test_members_one_behind_the_other_are_taken(tenant, coding):
    pack = PACK[coding]
    text = json.dumps([order(1), order(2)]).encode()
    assert batch(tenant, coding, pack(text[:50]) + pack(text[50:])).json()["accepted"] == 2


@pytest.mark.parametrize("coding", CODINGS)
def test_broken_bodies_are_400_and_say_how(tenant, coding):
    whole = PACK[coding](json.dumps([order(1)]).encode())
    for body, word in ((whole[:-1], "truncated"), (whole[:20], "truncated"), (b"", "truncated"),
                       (whole + b"tail", "4 bytes"), (b"[]", None), (b"\x00" * 100, "corrupt"),
                       (json.dumps([order(1)]).encode(), "corrupt")):
        for response in (batch(tenant, coding, body), tenant.api.post("order", body, {"Content-Encoding": coding})):
            error = error_of(response)
            assert (error.status, error.code, error.field) == (400, "invalid_encoding", "Content-Encoding"), error
            assert word is None or word in error.message


def test_a_wrong_checksum_is_corrupt(tenant):
    whole = bytearray(PACK["gzip"](json.dumps([order(1)]).encode()))
    whole[-5] ^= 1
    assert "corrupt" in error_of(batch(tenant, "gzip", bytes(whole))).message


@pytest.mark.parametrize("coding", ["br", "deflate", "compress", "gzip, gzip", "gzip,zstd", "identity, gzip", "gzip;q=1",
                                    pytest.param("x" * 3000, id="long")])
def test_other_codings_are_415_with_what_is_taken(tenant, coding):
    body = PACK["gzip"](json.dumps([order(1)]).encode())
    for response in (batch(tenant, coding, body), tenant.api.post("order", body, {"Content-Encoding": coding})):
        error = error_of(response)
        assert (error.status, error.code, error.field) == (415, "unsupported_encoding", "Content-Encoding"), error
        assert response.headers["Accept-Encoding"] == "gzip, zstd"


def test_identity_and_upper_case_are_taken(tenant):
    body = json.dumps([order(1)]).encode()
    assert batch(tenant, "identity", body).json()["accepted"] == 1
    assert batch(tenant, "GZIP", PACK["gzip"](body)).json()["accepted"] == 1
    assert batch(tenant, "x-gzip", PACK["gzip"](body)).json()["accepted"] == 1


def test_raw_deflate_is_no_gzip(tenant):
    assert error_of(batch(tenant, "gzip", zlib.compress(b"[]"))).code == "invalid_encoding"


@pytest.mark.parametrize("coding", CODINGS)
def test_the_limit_of_bytes_counts_after_decompression(tenant, coding):
    noise = random.Random(7)
    texts = ",".join('"' + noise.randbytes(500).hex() + '"' for _ in range(11000))
    error = error_of(batch(tenant, coding, PACK[coding](f"[{texts}]".encode())))
    assert (error.status, error.code) == (413, "body_too_large")
    assert str(10 * MIB) in error.message
    error = error_of(tenant.api.post("order", PACK[coding](b'{"a":"' + b"x" * 300_000 + b'"}'),
                                     {"Content-Encoding": coding}))
    assert (error.status, error.code) == (413, "body_too_large")
    assert "262144" in error.message


def test_each_outcome_is_counted(stack, tenant):
    def counted():
        samples = metrics.read(stack.admin("ingestion"))
        return {(coding, result): samples.get(
            f'tidegate_ingestion_compressed_bodies_total{{coding="{coding}",result="{result}"}}', 0)
            for coding in CODINGS for result in ("ok", "invalid", "too_large", "overloaded")}
    before = counted()
    for coding in CODINGS:
        batch(tenant, coding, PACK[coding](json.dumps([order(1)]).encode()))
        batch(tenant, coding, b"none")
        batch(tenant, coding, PACK[coding](b" " * (11 * MIB)))
    assert {key: value - before[key] for key, value in counted().items()} == {
        key: 0 if key[1] == "overloaded" else 1 for key in before}
    until(lambda: metrics.read(stack.admin("ingestion"))["tidegate_ingestion_unpacked_bytes"] == 0, 10,
          "nothing decompressed is held")


def resident(stack):
    return metrics.read(stack.admin("ingestion"))["process_resident_memory_bytes"]


@pytest.mark.parametrize("coding", CODINGS)
def test_bombs_are_refused_and_cost_little(stack, tenant, coding):
    plain = gzip.compress(b" " * (100 * MIB), 9) if coding == "gzip" else PACK[coding](b" " * (1024 * MIB))
    before = resident(stack)
    for _ in range(20):
        error = error_of(batch(tenant, coding, plain))
        assert (error.status, error.code) == (413, "body_too_large"), error
    assert resident(stack) - before < 32 * MIB
    nested = PACK[coding](plain)  # decompressed once, it is no JSON
    assert error_of(batch(tenant, coding, nested)).status in (400, 413)


def test_the_ratio_is_named(tenant):
    error = error_of(batch(tenant, "zstd", PACK["zstd"](b" " * (9 * MIB))))
    assert error.status == 413 and "500 times" in error.message
    short = b"[" + b" " * (MIB - 1000) + json.dumps(order(1)).encode() + b"]"
    assert batch(tenant, "zstd", PACK["zstd"](short)).json()["accepted"] == 1  # a mebibyte is free


def test_endless_empty_members_are_refused(tenant):
    error = error_of(batch(tenant, "gzip", gzip.compress(b"") * 20000))
    assert error.status == 413 and "members" in error.message
    error = error_of(batch(tenant, "zstd", PACK["zstd"](b"") * 20000))
    assert error.status == 413 and "members" in error.message


def test_a_window_beyond_8_mib_is_refused(tenant):
    parameters = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=False)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    body = packer.compress(json.dumps([order(1)]).encode()) + packer.flush()
    error = error_of(batch(tenant, "zstd", body))
    assert error.status == 400 and "8 MiB" in error.message


@pytest.mark.parametrize("coding", CODINGS)
def test_spoilt_bytes_never_harm(tenant, coding, seed):
    dice = random.Random(seed)
    whole = PACK[coding](json.dumps([order(n) for n in range(50)]).encode())
    for _ in range(100):
        spoilt = bytearray(whole)
        for _ in range(dice.randrange(1, 4)):
            spoilt[dice.randrange(len(spoilt))] = dice.randrange(256)
        assert batch(tenant, coding, bytes(spoilt)).status_code in (202, 400, 413, 422)
