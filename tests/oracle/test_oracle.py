"""Our codec's schemas, verdicts and resolved values against Apache Avro for Java, on random pairs of schemas.

`make soak` does it with more than 10,000 pairs. TIDEGATE_ORACLE_SEED=17 repeats one pair, and soak.py --show 17
prints it."""

import copy
import os

import oracle
import pairs

PAIRS = 500


def seeds():
    one = os.environ.get("TIDEGATE_ORACLE_SEED")
    return range(1, PAIRS + 1) if one is None else [int(one)]


def test_we_agree_with_java_on_schemas_compatibility_and_resolution(capsys):
    count, compatible, found = pairs.compare(seeds(), oracle.java(), oracle.ours(), oracle.ask)
    with capsys.disabled():
        print(f"\noracle: {count} pairs, {compatible} of them compatible, {len(found)} differences")
    assert not found, f"{len(found)} differences, of which:\n" + "\n".join(found[:5])
    assert os.environ.get("TIDEGATE_ORACLE_SEED") or PAIRS // 4 < compatible < PAIRS * 3 // 4, "no fair mixture"


def test_the_comparison_can_fail():
    """A program that calls everything compatible, and one that misprints, would be found out."""
    honest = []

    def lying(change):
        def ask(command, questions):
            honest[:] = honest or oracle.ask(oracle.java(), questions)
            answers = copy.deepcopy(honest)
            if command == "liar":
                for answer in answers:
                    change(answer)
            return answers
        return ask

    def agrees(answer):
        if "compatible" in answer:
            answer["compatible"] = True

    def misprints(answer):
        if "text" in answer:
            answer["text"] = answer["text"].replace("long", "int")

    def misreads(answer):
        for value in answer.get("values", ()):
            value.update(json={"a": 1})
    for change in (agrees, misprints, misreads):
        assert pairs.compare(range(1, 21), "java", "liar", lying(change))[2], change.__name__


def test_fastavro_reads_our_bytes_as_it_reads_the_original(capsys):
    """Random data, read and written again by us."""
    made = [pairs.make(seed) for seed in range(1, PAIRS + 1)]
    read = oracle.ask(oracle.ours(), [{"op": "resolve", "reader": pair.writer_text, "writer": pair.writer_text,
                                       "data": pair.data} for pair in made])
    # What cannot read itself is left out: a record whose fields' aliases contradict each other.
    made, read = zip(*[(pair, answer) for pair, answer in zip(made, read)
                       if answer["ok"] and not any("error" in value for value in answer["values"])])
    ours = oracle.ask(oracle.ours(), [{"op": "encode", "schema": pair.writer_text,
                                       "values": [value["json"] for value in answer["values"]]}
                                      for pair, answer in zip(made, read)])
    fastavro = [str(oracle.path_of("python") / "venv" / "bin" / "python"), str(oracle.HERE / "bytes_fastavro.py")]
    told = oracle.ask(fastavro, [{"schema": pair.writer_text, "data": data} for pair, answer in zip(made, ours)
                                 for data in (pair.data, [one["hex"] for one in answer["data"]])])
    compared = [(pair, told[2 * number], told[2 * number + 1]) for number, pair in enumerate(made)
                if told[2 * number] is not None]
    with capsys.disabled():
        print(f"\nfastavro: the data of {len(compared)} schemas")
    assert len(compared) > PAIRS * 3 // 4
    for pair, original, again in compared:
        assert original == again, f"seed {pair.seed}: {pair.writer_text}"
