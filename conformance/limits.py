"""SageMaker's times and sizes, and how long this program itself waits and watches."""

from dataclasses import dataclass

MIB = 1024 * 1024  # bytes
PAYLOAD_BYTES = 6 * MIB  # InvokeEndpoint: the longest Body is 6291456 bytes
FAILURE_LENGTH = 1024  # characters; DescribeTrainingJob, FailureReason
EPHEMERAL_BYTES = 5 * 10**9  # the disk of a serverless endpoint
KILLED = 137  # exit code: 128 + SIGKILL
IMAGE_BYTES = 10 * 10**9  # the largest image of a serverless endpoint


@dataclass(frozen=True)
class ContractLimits:
    """Times in seconds. Tests of this program shorten them."""

    # SageMaker's own
    train_stop_s: float = 120  # from SIGTERM to SIGKILL
    serve_stop_s: float = 30  # from SIGTERM to SIGKILL
    start_s: float = 480  # until /ping must answer 200
    serverless_start_s: float = 180
    ping_s: float = 2
    connect_s: float = 0.25
    invoke_s: float = 60

    # how long this program waits
    again_s: float = 60  # for a second start of a server; more where the first one took longer
    train_s: float = 900  # for a job that must end by itself
    trains_s: float = 10  # for a job's first metric line; more where the plain job took longer
    early_s: float = 1.0  # from a job's start to an early SIGTERM
    broken_s: float = 20  # for a server whose model is unusable
    recover_s: float = 30  # for a server whose worker was killed
    notice_s: float = 2  # for /ping to notice that the model is gone
    told_s: float = 5  # from SIGTERM until a server behind a shell takes no new request
    idle_s: float = 120  # without a request, after which the model must still be loaded
    reload_s: float = 1  # what the first answer after that may take longer than the next one

    # load
    load_s: float = 4
    connections: int = 16
    flat_requests: int = 2000  # after which the memory must be as before
    flat_s: float = 150  # the longest time for these requests
    growth: float = 0.10  # of the warm server's memory
    growth_bytes: int = 16 * MIB  # what allocators may keep, whatever the server's size
