"""The contract's times and sizes, and how long this program itself watches."""

from dataclasses import dataclass

MIB = 1024 * 1024
PAYLOAD_BYTES = 6 * MIB  # InvokeEndpoint: Body's max is 6291456
FAILURE_LENGTH = 1024  # characters of DescribeTrainingJob's FailureReason
EPHEMERAL_BYTES = 5 * 10**9  # of a serverless endpoint's disk
IMAGE_BYTES = 10 * 10**9


@dataclass(frozen=True)
class ContractLimits:
    """Seconds. The first ones are SageMaker's; tests of this program shorten them."""

    train_stop_s: float = 120
    serve_stop_s: float = 30
    start_s: float = 480
    again_s: float = 60  # of a server that has started once already, at least
    serverless_start_s: float = 180
    ping_s: float = 2
    connect_s: float = 0.25
    invoke_s: float = 60
    train_s: float = 900  # of a job that ought to end by itself
    trains_s: float = 10  # at least so long is a first metric line waited for
    early_s: float = 1.0  # from the start to a SIGTERM that comes early
    broken_s: float = 20  # how long a server over an unusable model is watched
    load_s: float = 4
    recover_s: float = 30  # after a killed worker
    connections: int = 16
    flat_requests: int = 2000
    flat_s: float = 150
    growth: float = 0.10
    growth_bytes: int = 16 * MIB  # what allocators may keep, whatever the size
