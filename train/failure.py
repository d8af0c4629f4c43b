"""From an exception to the one sentence a user reads, in the log and in output/failure."""

import errno
import sys
import traceback

from artifact.model import ArtifactError
from artifact.photos.kinds import PhotoError
from artifact.text.names import printable
from recipes.errors import RecipeError
from train.job import Job, JobError

SUCCEEDED = 0
FAILED = 1  # the cause is the input, the settings or the machine
BROKEN = 70  # the cause is this program: EX_SOFTWARE of sysexits.h

# torch has no exception class of its own for a processor's memory; these are its words.
OUT_OF_MEMORY = ("out of memory", "can't allocate memory")


def report_failure(job: Job | None, error: Exception, first_hand: bool = True) -> int:
    """Write the reason to stderr and to the job's failure file; the exit code.

    The traceback is printed only when no user can mend the cause.
    first_hand: False for a failure elsewhere, which does not replace a reason that is there.
    """
    sentence = reason(error)
    if sentence is None:
        traceback.print_exception(error)
    # Whatever names it quotes, it is one line.
    text = printable(sentence or f"unexpected {type(error).__name__}: {error}")
    print(f"train: failed: {text}", file=sys.stderr, flush=True)
    if job and (first_hand or not _has_reason(job)):
        write_reason(job, text)
    return FAILED if sentence else BROKEN


def write_reason(job: Job, text: str) -> None:
    """Write the failure file; where it cannot be written, stderr says why."""
    try:
        job.write_failure(text)
    except OSError as error:
        sentence = f"the reason could not be written to output/failure: {error}"
        print(f"train: {printable(sentence)}", file=sys.stderr, flush=True)


def _has_reason(job: Job) -> bool:
    try:
        return bool(job.failure())
    except OSError:
        return False


def reason(error: BaseException) -> str | None:
    """The sentence for an error whose cause lies outside this program; None for any other."""
    if isinstance(error, (JobError, RecipeError, PhotoError, ArtifactError)):
        return str(error)
    if isinstance(error, OSError):
        return _of_operating_system(error)
    text = str(error)
    if isinstance(error, MemoryError) or any(words in text for words in OUT_OF_MEMORY):
        return (
            "out of memory; a smaller batch_size, image_size or model, "
            "or a larger machine, may help"
        )
    if "Expected more than 1 value per channel" in text:
        return (
            "batch_size=1 is too small for the batch normalisation of this model "
            "at this image_size; set 2 or more"
        )
    if "Expected to have finished reduction in the prior iteration" in text:
        # DistributedDataParallel waits for a gradient of each parameter that trains
        return (
            "the model has parameters that take no part in its answer, which several processes "
            "cannot train; train in one: on one host, with SLIPWAY_PROCESSES=1"
        )
    # torch's writers wrap the operating system's error in one of their own
    inner = error.__cause__ or error.__context__
    return reason(inner) if inner is not None else None


def _of_operating_system(error: OSError) -> str:
    path = error.filename2 or error.filename  # of a renaming, the new name
    where = ""
    what = ""
    if path:
        where = f" '{path}'"
        what = f": could not write{where}"
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return f"the disk is full{what}; give the job more space (VolumeSizeInGB)"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return (
                f"no permission to read or write{where} ({error.strerror}); "
                "the job reads its input and writes below its root"
            )
        case _:
            return f"{error.strerror or error}{where}"


def os_error(error: BaseException | None) -> OSError | None:
    """The operating system's error in an error or behind it; None where there is none."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


def disk_full(error: BaseException) -> bool:
    """Whether an error means that there was no room."""
    cause = os_error(error)
    return cause is not None and cause.errno in (errno.ENOSPC, errno.EDQUOT)
