"""Asks Apache Avro for Java and our own codec the same questions.

Both are programs that read one question per line and write one answer per line, as JSON:

    {"op": "schema", "schema": TEXT}                  {"ok": true, "text", "canonical", "crc64", "md5", "sha256"}
    {"op": "compat", "reader": TEXT, "writer": TEXT}  {"ok": true, "compatible", "found": [{"type", "path"}]}
    {"op": "resolve", "reader": TEXT, "writer": TEXT, "data": [HEX]}
                                                      {"ok": true, "values": [{"json": VALUE} or {"error"}]}
    anything refused                                  {"ok": false, "error"}

`text` is the schema as it is printed, `json` Avro's own JSON encoding in the reader's schema, logical types left
raw."""

import json
import os
import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
PROGRAMS = pathlib.Path(os.environ.get("TIDEGATE_BIN", TOP / "build" / "faults" / "bin"))


def path_of(name):
    """Where tests/fetch has put something; an error that says what to do when it has not."""
    place = subprocess.run([str(TOP / "tests" / "fetch"), "path", name], capture_output=True, text=True,
                           check=True).stdout
    assert pathlib.Path(place).is_dir(), f"{place} is missing: run tests/fetch (make test does)"
    return pathlib.Path(place)


def java():
    """The command of the Java program; Java compiles the one source file as it starts."""
    found = sorted(pathlib.Path("/usr/lib/jvm").glob("java-17-openjdk-*/bin/javac"))
    assert found, "no Java compiler: run deploy/local/install test"
    return [str(found[0].with_name("java")), "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m",
            "-cp", str(path_of("avro") / "libs" / "*"), str(HERE / "Oracle.java")]


def ours():
    program = PROGRAMS / "avro-verdict"
    assert program.exists(), f"{program} is missing: run tools/build faults"
    return [str(program)]


def ask(command, questions):
    """The answers, one for each question."""
    text = "".join(json.dumps(question) + "\n" for question in questions)
    done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=600, check=False)
    lines = done.stdout.decode().split("\n")[:-1]
    assert done.returncode == 0 and len(lines) == len(questions), (
        f"{command[-1]} ended with {done.returncode} after {len(lines)} of {len(questions)} answers: "
        f"{done.stderr.decode(errors='replace')[-2000:]}\n"
        f"it was asked: {json.dumps(questions[min(len(lines), len(questions) - 1)])[:2000]}")
    return [json.loads(line) for line in lines]
