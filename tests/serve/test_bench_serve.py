"""The serving bench and the table of others' images: they end with a table, whatever fails."""

from math import inf

import pytest

from bench.contract.images import PEERS
from bench.contract.kept import KeptResults
from bench.contract.table import table
from bench.serving.contestants import (
    BASE64,
    PHONE,
    PHOTO,
    Contestant,
    NotStarted,
    contestants,
)
from bench.serving.measuring import Cell, Measured, Rounds, measure_all, own_parts
from bench.serving.results import Results
from conformance.clauses import CLAUSES, Broken, Kept, NotApplicable, Result
from conformance.limits import ContractLimits

FIGURES = ("vs_ray_int8", "vs_best_same_engine", "of_engine_int8", "phone_vs_mms_int8", "own_ms")


def measured(rates: dict[Cell, float]) -> Measured:
    cells = {cell: Rounds([rate], [4.0], [9.0], [2.0], [0.5]) for cell, rate in rates.items()}
    return Measured(
        cells=cells, left_out={Cell("litserve", PHOTO, 4): "it does not take photos so"}
    )


def results(rates: dict[Cell, float], absent: dict[str, str]) -> Results:
    return Results(measured(rates), {}, {}, {}, absent, engine={"int8": 50.0}, bare_ms=3.0)


def test_servers_that_did_not_start_are_in_the_table_with_their_reason():
    only = {Cell("slipway-int8", PHOTO, 4): 48.0}
    found = results(only, {"mms": "exited, code 1; it printed: no Java"})
    assert "- mms: exited, code 1; it printed: no Java" in found.table()
    assert "| vs_mms_int8 | n/a | at least 4 | not measured |" in found.table()
    assert "litserve, 500x375, JPEG: it does not take photos so: 4 connections" in found.table()
    line = found.line()
    assert line.startswith("bench-serve: vs_mms_bf16=n/a ")
    assert "of_engine_int8=0.960" in line
    assert [word.partition("=")[0] for word in line.split()[-5:]] == list(FIGURES)


def test_the_figures_of_the_last_line():
    rates = {}
    for count in (1, 4, 16, 64):
        rates[Cell("slipway-int8", PHOTO, count)] = 48.0
        rates[Cell("slipway-int8", BASE64, count)] = 44.0
        rates[Cell("ray", PHOTO, count)] = 10.0 + count / 64
        rates[Cell("ray-int8", PHOTO, count)] = 30.0
        rates[Cell("litserve-int8", BASE64, count)] = 40.0
    rates[Cell("slipway-int8", PHONE, 4)] = 12.0
    rates[Cell("mms", PHONE, 4)] = 3.0
    line = results(rates, {}).line()
    assert "vs_ray_int8=4.36" in line  # at 64 connections
    assert "vs_best_same_engine=1.10" in line  # LitServe, on base64
    assert "phone_vs_mms_int8=4.00" in line
    assert "own_ms=0.50" in line


def test_the_table_says_what_our_own_time_is_made_of():
    entry = {"read_ms": 0.1, "decode_ms": 3.0, "queue_ms": 0.2, "engine_ms": 9.0, "total_ms": 13.0}
    parts = own_parts(13.5, [entry, entry, entry])
    rounds = Rounds([48.0], [13.5], [20.0], [2.0], [sum(parts.values())], [parts])
    measured = Measured({Cell("slipway-int8", PHOTO, 1): rounds})
    found = Results(measured, {}, {}, {}, {}, null_ms=0.21)
    said = (
        "own_ms of slipway-int8 is made of, in ms: client and network 0.50, reading the body 0.10, "
        "the engine's queue 0.20, HTTP, Flask and threads 0.70. A server in such a container that "
        "only reads and answers takes, with client and network, 0.21."
    )
    assert said in found.table()
    assert "own_ms=1.50" in found.line()


def test_a_bench_in_which_nothing_was_measured_has_its_table():
    absent = {server.name: "no such image" for server in contestants(2)}
    found = Results(Measured(), {}, {}, {}, absent)
    assert "- ray: no such image" in found.table()
    assert "nan" not in found.table()
    assert found.line().startswith("bench-serve: vs_mms_bf16=n/a ")


class Failing(Contestant):
    """A server whose container has gone."""

    def unpause(self) -> None: ...

    def pause(self) -> None: ...

    def processor_s(self) -> float:
        return float("nan")


def test_a_fault_of_one_server_leaves_its_cells_out():
    gone = Failing("gone", "image", [], url="http://127.0.0.1:9")
    found = measure_all([gone], dict.fromkeys((PHOTO, BASE64, PHONE), {"a": b"a"}), 1, 0.05, inf)
    assert not found.cells
    assert "answered a with 0" in found.left_out[Cell("gone", PHOTO, 1)]


def test_a_container_that_docker_does_not_start_says_why(tmp_path):
    server = Contestant("none", "slipway-no-such-image:none", [])
    with pytest.raises(NotStarted, match="."):
        server.start(tmp_path, b"")


def test_each_server_takes_small_photos():
    for server in contestants(2):
        assert PHOTO in server.senders or BASE64 in server.senders


def test_the_table_of_others_images_says_what_users_meet():
    clause = CLAUSES["ping_is_empty"]
    broken = {"ping_is_empty": Result(clause, "a", Broken("it answered 200 b'|'"), 0.1)}
    kept = {"ping_is_empty": Result(clause, "b", Kept(), 0.1)}
    text = table({"A": broken, "B": kept}, {"C": "its image cannot be built"})
    assert "| `ping_is_empty` | **broken** | kept |" in text
    assert "- `ping_is_empty`: Nothing today" in text
    assert "  - A: `it answered 200 b'¦'`" in text
    assert "- C: its image cannot be built" in text


def test_a_clause_that_was_not_run_is_no_clause_that_cannot_judge():
    names = ("ping_is_empty", "head_request")
    first = {name: Result(CLAUSES[name], "a", Kept(), 0.1) for name in names}
    second = {names[0]: Result(CLAUSES[names[0]], "b", NotApplicable("it has none"), 0.1)}
    text = table({"A": first, "B": second}, {})
    assert "| `ping_is_empty` | kept | – |" in text
    assert "| `head_request` | kept | not run |" in text


def test_a_clauses_result_is_kept_for_its_image_and_limits(tmp_path):
    def kept(image: str = "sha256:1", limits: ContractLimits | None = None) -> KeptResults:
        return KeptResults(PEERS[1], limits or ContractLimits(), tmp_path, lambda name: image)

    clause = CLAUSES["ping_is_empty"]
    kept().keep(Result(clause, PEERS[1].image, Broken("it answered 200 b'x'"), 1.5))
    assert kept().all() == {
        "ping_is_empty": Result(clause, PEERS[1].image, Broken("it answered 200 b'x'"), 1.5)
    }
    assert not kept(image="sha256:2").all()
    assert not kept(limits=ContractLimits(load_s=9)).all()
