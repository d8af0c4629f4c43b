"""A request of InvokeEndpointAsync, from its arrival to its notice."""

from dataclasses import dataclass

from local_sagemaker.hosting.calls import PREFIX


@dataclass(frozen=True)
class Asked:
    """One request. source: its object, None where the body came with it.

    headers: by lower-case names. where: URI of the answer; failure: of the error, None for none.
    received_s: since the epoch.
    """

    inference_id: str
    source: str | None
    body: bytes
    headers: dict[str, str]
    where: str
    failure: str | None
    received_s: float

    def header(self, name: str) -> str | None:
        return self.headers.get(f"{PREFIX}{name}".lower())
