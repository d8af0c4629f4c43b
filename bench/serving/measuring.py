"""What is measured of each server, in which order, and for how long."""

import datetime
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bench.serving.contestants import BASE64, KINDS, PHONE, PHOTO, Contestant
from runtime.load import Answer, Load, lasting, load

CONNECTIONS = (1, 4, 16, 64)
WARM_S = 3.0  # of load before a server's first measurement of a kind of photos
REWARM_S = 0.5  # of load before its later ones
# Kinds and connections in the order of their weight: where the time ends, the last are left out.
ORDER = (
    *((PHOTO, connections) for connections in CONNECTIONS),
    (PHONE, 4),
    *((BASE64, connections) for connections in CONNECTIONS),
    *((PHONE, connections) for connections in (1, 16, 64)),
)

Photos = Mapping[str, bytes]  # encoded photos by name
Labels = dict[str, dict[str, str]]  # engine: photo: top label


class Cell(NamedTuple):
    """One figure's place: a server, a kind of photos, a number of connections."""

    server: str
    kind: str
    connections: int

    def words(self) -> str:
        return f"{self.server}, {KINDS[self.kind]}, {self.connections} connections"


@dataclass
class Rounds:
    """The measurements of a cell, a value for each round."""

    rates: list[float] = field(default_factory=list)  # requests/s
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    processor_s: list[float] = field(default_factory=list)  # of 1,000 requests
    own_ms: list[float] = field(default_factory=list)  # neither engine nor decoding; of ours
    own_parts: list[dict[str, float]] = field(default_factory=list)  # of own_ms, by their names

    def median(self, name: str) -> float:
        """The median of a figure; nan where there is none."""
        values: list[float] = getattr(self, name)
        return statistics.median(values) if values else float("nan")


@dataclass
class Measured:
    """All measurements of servers. left_out: cells, and why."""

    cells: dict[Cell, Rounds] = field(default_factory=dict)
    left_out: dict[Cell, str] = field(default_factory=dict)
    labels: Labels = field(default_factory=dict)


def measure_all(
    servers: Sequence[Contestant],
    photos: Mapping[str, Photos],
    rounds: int,
    seconds: float,
    until: float,
) -> Measured:
    """Every cell in each round, as far as the time goes. until: on time.monotonic's clock."""
    measured = Measured()
    warm: set[tuple[str, str]] = set()
    for number in range(1, rounds + 1):
        for kind, connections in ORDER:
            for server in servers:
                cell = Cell(server.name, kind, connections)
                if kind not in server.senders:
                    measured.left_out[cell] = "it does not take photos so"
                elif time.monotonic() > until:
                    if cell not in measured.cells:
                        measured.left_out.setdefault(cell, "no time was left")
                elif cell not in measured.left_out:
                    warm_s = REWARM_S if (server.name, kind) in warm else min(WARM_S, seconds)
                    warm.add((server.name, kind))
                    _measure_cell(measured, server, cell, photos[kind], (warm_s, seconds), number)
    return measured


def _measure_cell(
    measured: Measured,
    server: Contestant,
    cell: Cell,
    photos: Photos,
    times: tuple[float, float],
    number: int,
) -> None:
    """Load a server for a time, after a time to warm up; a fault leaves the cell out."""
    labels = measured.labels.setdefault(server.name, {})
    warm_s, seconds = times
    server.unpause()
    try:
        measure(server, cell, photos, warm_s, labels)
        since = datetime.datetime.now(datetime.UTC).isoformat()
        before_s = server.processor_s()
        result = measure(server, cell, photos, seconds, labels)
        used_s = server.processor_s() - before_s
        if not result.latencies_s:
            raise RuntimeError(f"no answer came within {seconds:.0f} s")
    except Exception as error:  # one fault of one server must not take the others' figures
        measured.left_out[cell] = str(error) or type(error).__name__
        measured.cells.pop(cell, None)
        print(f"bench-serve: {cell.words()}: left out: {error}", flush=True)
        return
    finally:
        server.pause()
    rounds = measured.cells.setdefault(cell, Rounds())
    rounds.rates.append(result.rate)
    rounds.p50_ms.append(1000 * result.percentile_s(0.5))
    rounds.p99_ms.append(1000 * result.percentile_s(0.99))
    rounds.processor_s.append(1000 * used_s / len(result.latencies_s))
    if server.image == "slipway-serve" and cell.connections == 1:
        entries = server.logged(since)
        if entries:
            parts = own_parts(rounds.p50_ms[-1], entries)
            rounds.own_ms.append(sum(parts.values()))
            rounds.own_parts.append(parts)
    figures = f"{result.rate:.1f}/s, p50 {rounds.p50_ms[-1]:.0f} ms"
    print(f"bench-serve: round {number}, {cell.words()}: {figures}", flush=True)


def own_parts(p50_ms: float, entries: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """What an answer's time is made of beside engine and decoding, in ms.

    p50_ms: as the client sees it. entries: of the server's log.
    """

    def median(*names: str) -> float:
        return statistics.median(sum(entry[name] for name in names) for entry in entries)

    reading = median("read_ms")
    queue = median("queue_ms")
    total = median("total_ms")
    return {
        "client and network": p50_ms - total,
        "reading the body": reading,
        "the engine's queue": queue,
        "HTTP, Flask and threads": total - reading - queue - median("engine_ms", "decode_ms"),
    }


def measure(
    server: Contestant, cell: Cell, photos: Photos, seconds: float, labels: dict[str, str]
) -> Load:
    """Load for a time; `labels` takes the top label of each photo.

    RuntimeError for an answer that is not 200, or that differs from an earlier one to the same
    photo.
    """
    sender = server.senders[cell.kind]
    requests = [sender(name, body) for name, body in photos.items()]

    def answered(answer: Answer) -> None:
        photo = answer.request.name
        if answer.status != 200:
            found = f"{answer.status}: {answer.body[:200]!r} {answer.error}"
            raise RuntimeError(f"{server.name} answered {photo} with {found}")
        [prediction] = json.loads(answer.body)["predictions"]
        label = prediction["label"]
        before = labels.setdefault(photo, label)
        if before != label:
            raise RuntimeError(f"{server.name} answered {photo} with '{label}' after '{before}'")

    return load(server.url, lasting(requests, seconds), cell.connections, answered)
