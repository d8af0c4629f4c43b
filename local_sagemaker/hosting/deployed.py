"""Configurations as they run: their variants and weights, and which of them answers a request."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from local_sagemaker.contract import ApiError
from local_sagemaker.hosting.variants import Variant, each
from local_sagemaker.record import Record

PRODUCTION = "ProductionVariants"
SHADOW = "ShadowProductionVariants"
COUNT = "InitialInstanceCount"
WEIGHT = "InitialVariantWeight"


@dataclass(frozen=True)
class Chosen:
    """What answers one request. slot: of a serverless variant; shadow: who gets a copy of it."""

    name: str
    variant: Variant
    config: Record
    slot: threading.BoundedSemaphore | None = None
    shadow: "Chosen | None" = None


class Deployed:
    """The variants of one endpoint configuration, its shadow variants with them."""

    def __init__(self, config: Record, variants: dict[str, Variant]) -> None:
        self.config = config
        self.variants = variants
        self.weights: dict[str, float] = {}
        # by serverless variant: as many calls at the same time as its MaxConcurrency
        self.slots: dict[str, threading.BoundedSemaphore] = {}
        for entry in entries_of(config):
            name = entry["VariantName"]
            self.weights[name] = entry.get(WEIGHT, 1.0)
            if entry.get("ServerlessConfig"):
                most = entry["ServerlessConfig"]["MaxConcurrency"]
                self.slots[name] = threading.BoundedSemaphore(most)

    def names(self, kind: str = PRODUCTION) -> list[str]:
        return [entry["VariantName"] for entry in self.config.get(kind, [])]

    def choose(self, target: str | None) -> Chosen:
        """The named production variant, or one by weight."""
        name = target
        if not name:
            names = self.names()
            shares = [self.weights[each_name] for each_name in names]
            if not any(shares):
                shares = [1.0] * len(names)  # random.choices refuses weights that are all 0
            name = random.choices(names, shares)[0]
        return Chosen(
            name, self.variants[name], self.config, self.slots.get(name), self._shadow(name)
        )

    def _shadow(self, production: str) -> Chosen | None:
        """The shadow variant, for the part of the requests that its weight gives it."""
        for name in self.names(SHADOW):
            # Source: ShadowProductionVariants in SageMaker's guide: the shadow's weight against
            # the production variant's is the part of the requests that is copied.
            whole = self.weights[production] or 1.0
            if random.random() < self.weights[name] / whole:
                return Chosen(name, self.variants[name], self.config)
        return None

    def counts(self) -> dict[str, int]:
        """The instances of each variant, as they are."""
        return {name: len(variant.instances) for name, variant in self.variants.items()}

    def resize(self, counts: dict[str, int], failed: Callable[[str, Exception], Exception]) -> None:
        """Start or stop instances; an error of a variant is raised as `failed` makes it."""
        for name, count in counts.items():
            try:
                self.variants[name].scale(count)
            except Exception as error:
                raise failed(name, error) from error

    def limit(self, name: str, wanted: Record) -> None:
        """Give a serverless variant another MaxConcurrency, or ProvisionedConcurrency."""
        for entry in entries_of(self.config):
            if wanted and entry["VariantName"] == name and entry.get("ServerlessConfig"):
                entry["ServerlessConfig"] = {**entry["ServerlessConfig"], **wanted}
                most = entry["ServerlessConfig"]["MaxConcurrency"]
                self.slots[name] = threading.BoundedSemaphore(most)

    def stop(self) -> None:
        each(list(self.variants.values()), lambda variant: variant.stop())

    def shown(self) -> Record:
        """The variants as DescribeEndpoint shows them."""
        return {kind: self._shown_all(kind) or None for kind in (PRODUCTION, SHADOW)}

    def _shown_all(self, kind: str) -> list[Record]:
        return [self._shown(entry) for entry in self.config.get(kind, [])]

    def _shown(self, entry: Record) -> Record:
        name = entry["VariantName"]
        variant = self.variants[name]
        image = {
            "SpecifiedImage": variant.container["Image"],
            "ResolvedImage": variant.container["Image"],
            "ResolutionTime": time.time(),
        }
        shown = {
            "VariantName": name,
            "CurrentWeight": self.weights[name],
            "DesiredWeight": self.weights[name],
            "DeployedImages": [image],
        }
        if entry.get("ServerlessConfig"):
            return {**shown, "CurrentServerlessConfig": entry["ServerlessConfig"]}
        count = len(variant.instances)
        return {**shown, "CurrentInstanceCount": count, "DesiredInstanceCount": count}


@dataclass(frozen=True)
class Route:
    """Where requests go: to what serves, and a share of them to what an update brings."""

    serving: Deployed
    incoming: Deployed | None = None
    share: float = 0.0  # of the requests, to `incoming`

    def choose(self, endpoint: str, target: str | None) -> Chosen:
        """The variant for one request. ApiError where the endpoint has no such variant."""
        sides = [self.serving]
        if self.incoming:
            sides.append(self.incoming)
            if random.random() < self.share:
                sides.reverse()
        for side in sides:
            if side.variants and (not target or target in side.names()):
                return side.choose(target)
        raise ApiError("ValidationError", f"Variant {target} not found for Endpoint {endpoint}")


def entries_of(config: Record) -> list[Record]:
    """All variants of an endpoint configuration, as it has them."""
    return [*config.get(PRODUCTION, []), *config.get(SHADOW, [])]


def retained(config: Record, serving: Deployed, excluded: list[str]) -> Record:
    """A configuration with the counts and weights that its variants have now, and the capture.

    As RetainAllVariantProperties has it; excluded: properties that are the configuration's own.
    """
    kept = dict(config)
    capture = serving.config.get("DataCaptureConfig")
    if "DataCaptureConfig" not in excluded and capture:
        kept["DataCaptureConfig"] = capture
    counts = serving.counts()
    for kind in (PRODUCTION, SHADOW):
        if kind in config:
            kept[kind] = [_retained(entry, serving, counts, excluded) for entry in config[kind]]
    return kept


def _retained(
    entry: Record, serving: Deployed, counts: dict[str, int], excluded: list[str]
) -> Record:
    name = entry["VariantName"]
    if name not in counts:
        return entry
    kept = dict(entry)
    if "DesiredInstanceCount" not in excluded and not entry.get("ServerlessConfig"):
        kept[COUNT] = counts[name]
    if "DesiredWeight" not in excluded:
        kept[WEIGHT] = serving.weights[name]
    return kept
