"""python -m bench.conformance_peers: the conformance clauses on images that others' patterns make.

It builds an image for each pattern, holds it against the serving and image clauses, and ours too,
and writes the table of clauses and images into conformance/README.md. It needs a Docker engine with
slipway-serve and slipway-train. The whole takes an hour on two cores. Each result is kept as a JSON
file in out/conformance-peers: a second start goes on after them, and the table is written from what
is kept. --quick shortens the clauses that take long, keeps its results apart, and leaves README.md
as it is.
"""

import argparse
import json
import sys
from pathlib import Path

from artifact.host.listening import ask_loopback_directly
from bench.contract.images import OWN, PEERS, Peer, build, model_of
from bench.contract.kept import KeptResults, clauses
from bench.contract.table import Outcomes, table
from bench.sections import OUT, REPOSITORY
from bench.told_to_stop import until_told
from conformance import results
from conformance.clauses import Result
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
TIMED = "timed"  # the clauses that measure times under load
UNTIMED = "untimed"


def main() -> int:
    parser = argparse.ArgumentParser(prog="conformance-peers", description=__doc__)
    names = [peer.name for peer in PEERS]
    parser.add_argument("--only", nargs="*", choices=names, default=names, help="images")
    which = f"'{TIMED}', '{UNTIMED}', or names of clauses, with commas between"
    parser.add_argument("--clauses", type=chosen, default=[], help=which)
    parser.add_argument("--again", action="store_true", help="measure what is kept, too")
    parser.add_argument("--quick", action="store_true", help="a try: short times, README as it is")
    parser.add_argument("--out", type=Path, default=OUT / "conformance-peers", help="what is kept")
    options = parser.parse_args()
    ask_loopback_directly()
    limits = QUICK if options.quick else ContractLimits()
    folder = options.out.absolute() / ("quick" if options.quick else "parts")
    kept = {peer.name: KeptResults(peer, limits, folder) for peer in PEERS}
    failed = {}
    with until_told():
        for peer in PEERS:
            if peer.name not in options.only:
                continue
            try:
                look_at(peer, limits, kept[peer.name], options.clauses, options.again)
            except Exception as error:  # whatever it is: the others' columns must come
                failed[peer.title] = " ".join(str(error).split())
                print(f"conformance-peers: {peer.name}: {error}", flush=True)
    found: dict[str, Outcomes] = {}
    for peer in PEERS:
        if outcomes := kept[peer.name].all():
            found[peer.title] = outcomes
    text = table(found, failed)
    if not options.quick:
        before = README.read_text(encoding="utf-8").partition(BEGIN)[0].rstrip()
        README.write_text(f"{before}\n\n{BEGIN}\n\n{text}", encoding="utf-8")
    print(text)
    print(line(found), flush=True)
    return int(bool(failed))


def chosen(text: str) -> list[str]:
    """The names of the clauses that an option asks for. ArgumentTypeError where there is none."""
    if text in (TIMED, UNTIMED):
        return [clause.name for clause in clauses() if clause.alone == (text == TIMED)]
    wanted = text.split(",")
    known = [clause.name for clause in clauses()]
    if strange := [name for name in wanted if name not in known]:
        raise argparse.ArgumentTypeError(f"there is no serving or image clause '{strange[0]}'")
    return wanted


def look_at(
    peer: Peer, limits: ContractLimits, kept: KeptResults, wanted: list[str], again: bool
) -> None:
    """Hold an image against the wanted clauses, all where none is named, and keep the results."""
    print(f"conformance-peers: {peer.name}: building {peer.image}", flush=True)
    build(peer)
    done = {} if again else kept.all()
    names = wanted or [clause.name for clause in clauses()]
    only = tuple(name for name in names if name not in done)
    if not only:
        return

    def show(result: Result) -> None:
        kept.keep(result)
        print(f"conformance-peers: {peer.name}: {results.row(result)}", flush=True)

    with workplace() as work:
        model = model_of(peer, work)
        target = Image(peer.image, work)
        sample = Sample(peer.sample, peer.content_type, model)
        if peer.name == OWN:
            sample = read_sample(None, "", model)
        examine(Wanted(serve=target, sample=sample, only=only), limits, work, show)


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
