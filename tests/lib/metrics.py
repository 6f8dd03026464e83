"""Prometheus' text format, read strictly enough to notice when it is broken."""

import re

import requests

SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_]\w*="(?:[^"\\]|\\.)*",?)*\})? (\S+)$')


def parse(text):
    """"name{labels}" -> number. Every family must have its HELP and TYPE before its samples."""
    samples, types = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types, f"two TYPE lines for {name}"
            types[name] = kind
        elif line and not line.startswith("#"):
            match = SAMPLE.match(line)
            assert match, f"no sample: {line}"
            name = match[1]
            family = name if name in types else re.sub(r"_(bucket|sum|count)$", "", name)
            assert family in types, f"no TYPE for {name}"
            key = name + (match[2] or "")
            assert key not in samples, f"{key} twice"
            samples[key] = float(match[3])
    return samples


def read(admin):
    response = requests.get(admin + "/metrics", timeout=5)
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return parse(response.text)
