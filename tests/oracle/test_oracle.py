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


def cannot_read_itself(answer):
    """A schema with a record whose fields' aliases contradict each other."""
    told = [answer.get("error", "")] + [value.get("error", "") for value in answer.get("values", [])]
    return any("several fields of the writer match" in text for text in told)


def test_fastavro_and_we_read_each_others_bytes(capsys):
    """Random data, and what fastavro writes of it; both read and written again by us."""
    python = [str(oracle.path_of("python") / "venv" / "bin" / "python"), str(oracle.HERE / "bytes_fastavro.py")]

    def ask_fastavro(schemas_and_data):
        return oracle.ask(python, [{"schema": text, "data": data} for text, data in schemas_and_data])

    made = [pairs.make(seed) for seed in range(1, PAIRS + 1)]
    told = ask_fastavro((pair.writer_text, pair.data) for pair in made)
    asked = [(pair, pair.data + answer["written"], len(answer["written"]))
             for pair, answer in zip(made, told) if answer is not None]
    read = oracle.ask(oracle.ours(), [{"op": "resolve", "reader": pair.writer_text, "writer": pair.writer_text,
                                       "data": data} for pair, data, _ in asked])
    asked, read = zip(*[(one, answer) for one, answer in zip(asked, read) if not cannot_read_itself(answer)])
    for (pair, _, _), answer in zip(asked, read):
        assert answer["ok"], f"seed {pair.seed}: {pair.writer_text}"
        assert not [value for value in answer["values"] if "error" in value], f"seed {pair.seed}: {pair.writer_text}"
    ours = oracle.ask(oracle.ours(), [{"op": "encode", "schema": pair.writer_text,
                                       "values": [value["json"] for value in answer["values"]]}
                                      for (pair, _, _), answer in zip(asked, read)])
    before = ask_fastavro((pair.writer_text, data) for pair, data, _ in asked)
    after = ask_fastavro((pair.writer_text, [one["hex"] for one in answer["data"]])
                         for (pair, _, _), answer in zip(asked, ours))
    theirs = sum(count for _, _, count in asked)
    with capsys.disabled():
        print(f"\nfastavro: the data of {len(asked)} schemas, {theirs} values of its own writing")
    assert len(asked) > PAIRS * 3 // 4 and theirs > PAIRS
    for (pair, _, _), original, again in zip(asked, before, after):
        assert original["values"] == again["values"], f"seed {pair.seed}: {pair.writer_text}"
