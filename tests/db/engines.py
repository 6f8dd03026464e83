"""Which storage engines the server on this machine offers: plain PostgreSQL always, TimescaleDB where its
library is installed, unless TIDEGATE_ENGINE=plain."""

import os
import pathlib
import shutil


def postgres_bin():
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"),
                   key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    assert on_path, "PostgreSQL's server programs are not installed"
    return pathlib.Path(on_path).parent


def offers_timescale():
    library = postgres_bin().parent / "lib"
    return any((library / part / "timescaledb.so").exists() for part in ("", "postgresql"))


ENGINES = ["plain"]
if os.environ.get("TIDEGATE_ENGINE", "auto") != "plain" and offers_timescale():
    ENGINES.append("timescale")
assert os.environ.get("TIDEGATE_ENGINE") != "timescale" or "timescale" in ENGINES, "no TimescaleDB here"
