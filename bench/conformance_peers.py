"""python -m bench.conformance_peers: the conformance clauses on images that others' patterns make.

It builds an image for each pattern, holds it against the serving and image clauses, and ours too,
and writes the table of clauses and images into conformance/README.md. It needs a Docker engine with
slipway-serve and slipway-train. The whole takes an hour on two cores; --quick shortens the clauses
that take long, and writes the table to out/conformance alone.
"""

import argparse
import json
import sys
from pathlib import Path

from artifact.listening import ask_loopback_directly
from bench.contract.images import OWN, PEERS, Peer, build, model_of
from bench.contract.table import Outcomes, table
from bench.sections import OUT, REPOSITORY
from conformance import results
from conformance.clauses import IMAGE, SERVING, Result
from conformance.inputs import read_sample
from conformance.limits import ContractLimits
from conformance.runner import Wanted, examine, workplace
from conformance.server import Sample
from conformance.targets import Image

README = REPOSITORY / "conformance" / "README.md"
BEGIN = "<!-- `make conformance-peers` writes what follows. -->"
QUICK = ContractLimits(
    again_s=60,
    broken_s=5,
    recover_s=20,
    load_s=2,
    connections=8,
    flat_requests=100,
    flat_s=30,
    idle_s=3,
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="conformance-peers", description=__doc__)
    names = [peer.name for peer in PEERS]
    parser.add_argument("--peers", default=",".join(names), help=f"of {', '.join(names)}")
    parser.add_argument("--only", default="", help="names of clauses, with commas between")
    parser.add_argument("--quick", action="store_true", help="a try: short times, README as it is")
    parser.add_argument("--out", type=Path, default=OUT / "conformance", help="for the results")
    options = parser.parse_args()
    ask_loopback_directly()
    out = options.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    only = tuple(name for name in options.only.split(",") if name)
    limits = QUICK if options.quick else ContractLimits()
    wanted = options.peers.split(",")
    columns: dict[str, Outcomes] = {}
    failed = {}
    for peer in PEERS:
        if peer.name not in wanted:
            continue
        try:
            found = examined(peer, limits, only)
        except Exception as error:  # whatever it is: the others' columns must come
            failed[peer.title] = " ".join(str(error).split())
            print(f"conformance-peers: {peer.name}: {error}", flush=True)
            continue
        (out / f"{peer.name}.json").write_text(results.as_json(found), encoding="utf-8")
        columns[peer.title] = {result.clause.name: result for result in found}
    text = table(columns, failed)
    (out / "peers.md").write_text(text, encoding="utf-8")
    if not options.quick and not only:
        before = README.read_text(encoding="utf-8").partition(BEGIN)[0].rstrip()
        README.write_text(f"{before}\n\n{BEGIN}\n\n{text}", encoding="utf-8")
    print(text)
    print(line(columns), flush=True)
    return int(bool(failed))


def examined(peer: Peer, limits: ContractLimits, only: tuple[str, ...]) -> list[Result]:
    """The results of the serving and image clauses on one image."""
    print(f"conformance-peers: {peer.name}: building {peer.image}", flush=True)
    build(peer)
    with workplace() as work:
        model = model_of(peer, work)
        target = Image(peer.image, work)
        sample = Sample(peer.sample, peer.content_type, model)
        if peer.name == OWN:
            sample = read_sample(None, "", model)
        target_wanted = Wanted(serve=target, sample=sample, only=only)

        def show(result: Result) -> None:
            print(f"conformance-peers: {peer.name}: {results.row(result)}", flush=True)

        found = examine(target_wanted, limits, work, show)
    return [result for result in found if result.clause.kind in (SERVING, IMAGE)]


def line(columns: dict[str, Outcomes]) -> str:
    """The last line: the broken clauses of each image."""
    counts = {
        title.replace(" ", "-"): results.counted(list(found.values()))["broken"]
        for title, found in columns.items()
    }
    words = [f"{name}={count}" for name, count in counts.items()]
    return f"conformance-peers: broken: {' '.join(words) or json.dumps({})}"


if __name__ == "__main__":
    sys.exit(main())
