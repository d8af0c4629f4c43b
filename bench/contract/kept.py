"""The clauses' results on one image, each a part: a second start goes on after them."""

import dataclasses
import hashlib
import inspect
from collections.abc import Callable
from functools import cache
from pathlib import Path

import conformance
from bench.contract.images import Peer
from bench.parts import Parts
from conformance import results
from conformance.catalog import MODULES, of_kind
from conformance.clauses import IMAGE, SERVING, Broken, Clause, Kept, NotApplicable, Result
from conformance.limits import ContractLimits
from runtime.docker import image_description, image_exists

OUTCOMES = {"kept": Kept, "broken": Broken, "n/a": NotApplicable}  # by the word of a result
NO_PART = ("__main__", "options", "results")  # how a user asks, and how results are shown


def identity_of(image: str) -> str:
    return str(image_description(image)["Id"]) if image_exists(image) else ""


class KeptResults:
    """A peer's parts.

    A part counts as long as the image, the clause's code, the limits and the sample are the same.
    identity: the digest of an image by its name; "" where it is not there.
    """

    def __init__(
        self,
        peer: Peer,
        limits: ContractLimits,
        folder: Path,
        identity: Callable[[str], str] = identity_of,
    ):
        self._peer = peer
        self._identity = identity
        self._parts = Parts[dict[str, str]](folder / peer.name)
        # now: the files may be edited while the clauses run
        self._versions = {clause.name: version(clause) for clause in clauses()}
        self._common = {
            "limits": dataclasses.asdict(limits),
            "sample": hashlib.sha256(peer.sample).hexdigest(),
        }

    def keep(self, result: Result) -> None:
        found = {
            "outcome": results.outcome_word(result.outcome),
            "seen": results.seen(result),
            "seconds": f"{result.seconds:.1f}",
        }
        image = self._identity(self._peer.image)
        self._parts.keep(result.clause.name, self._settings(result.clause, image), found)

    def all(self) -> dict[str, Result]:
        """The results that count, by the clause's name."""
        kept = {}
        image = self._identity(self._peer.image)
        for clause in clauses():
            part = self._parts.figures(clause.name, self._settings(clause, image))
            if part is not None:
                outcome = OUTCOMES[part["outcome"]](part["seen"])
                seconds = float(part["seconds"])
                kept[clause.name] = Result(clause, self._peer.image, outcome, seconds)
        return kept

    def _settings(self, clause: Clause, image: str) -> dict[str, object]:
        return {**self._common, "image": image, "clause": self._versions[clause.name]}


def clauses() -> list[Clause]:
    """Those that judge a serving image."""
    return of_kind(SERVING) + of_kind(IMAGE)


def version(clause: Clause) -> str:
    """A digest of a clause's module, and of the modules that all clauses stand on."""
    return _version(Path(inspect.getfile(clause.check)).name)


@cache
def _version(own: str) -> str:
    others = {Path(str(module.__file__)).name for module in MODULES}
    digest = hashlib.sha256()
    for path in sorted(Path(conformance.__path__[0]).glob("*.py")):
        if path.stem not in NO_PART and (path.name == own or path.name not in others):
            digest.update(path.read_bytes())
    return digest.hexdigest()
