"""Why a job ends before its work is done, in the words of its FailureReason."""

from local_sagemaker.objects import ObjectError
from runtime.errors import RunError

CLOSING = "closing"  # the reason for a stop: this server ends
REASON_LENGTH = 1024  # characters that SageMaker keeps of a FailureReason
SERVER_ENDED = "InternalServerError: the local server ended while the job ran"
SERVER_STOPPED = "InternalServerError: the local server was stopped while the job ran"


class JobFailed(Exception):
    """A job that cannot go on; the text is its FailureReason."""


def failure_reason(error: Exception) -> str:
    """The FailureReason for an error that ended a job."""
    if isinstance(error, JobFailed):
        reason = str(error)
    elif isinstance(error, ObjectError):
        reason = f"ClientError: Data download failed:{error}"
    elif isinstance(error, RunError):
        reason = f"ClientError: {error}"
    else:
        reason = internal_error(error)
    return reason[:REASON_LENGTH]


def internal_error(error: Exception) -> str:
    """The FailureReason for a fault of this server. It must be seen in the job, beside the log."""
    return f"InternalServerError: {type(error).__name__}: {error}"[:REASON_LENGTH]
