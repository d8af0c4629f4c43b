"""Clauses on what lies in the model's folder, and on how long a model stays loaded."""

import re
import time
from pathlib import Path

from conformance.clauses import SERVING, Broken, Kept, NotApplicable, Outcome, Settled, clause
from conformance.not_numbers import spoil
from conformance.servings import Servings, answer, plain

# AppleDouble: magic, version 2, no entries. macOS's tar writes such a file beside each file that
# has extended attributes, under the same name behind ._
APPLE_DOUBLE = b"\x00\x05\x16\x07\x00\x02\x00\x00" + b"Mac OS X        " + b"\x00\x00"
STORE = b"\x00\x00\x00\x01Bud1"  # .DS_Store
NOT_A_NUMBER = re.compile(rb"(?i)(?<![a-z0-9_\"'])-?(nan|inf|infinity)(?![a-z0-9_\"'])")


@clause(SERVING)
def macos_files_beside_the_model(servings: Servings) -> Outcome:
    """Files that macOS adds to an archive are ignored: ._NAME beside each NAME, .DS_Store,
    __MACOSX.

    Source: developer guide, "How SageMaker loads your model artifacts": the whole archive is
        unpacked; tar(1) of macOS: COPYFILE_DISABLE
    Fix: open the model by its name, not as the first file with its suffix, and ignore names that
        begin with a dot
    """
    servings.once(answer)
    model = servings.model()
    files = _files(servings, model)
    for path in files:
        (path.parent / f"._{path.name}").write_bytes(APPLE_DOUBLE)
    for folder in {path.parent for path in files}:
        (folder / ".DS_Store").write_bytes(STORE)
    (model / "__MACOSX").mkdir()
    for path in files:
        (model / "__MACOSX" / f"._{path.name}").write_bytes(APPLE_DOUBLE)
    with servings.ready(model) as server:
        return servings.answers(server)


@clause(SERVING)
def nan_model(servings: Servings) -> Outcome:
    """A model whose numbers are not numbers (NaN) never gets ready, or its answers are errors. A
    200 with NaN in it is not JSON, and callers cannot read it.

    Source: RFC 8259, 6: Infinity and NaN are not permitted; Python's json writes them, by its
        allow_nan
    Fix: check that what the model answers is finite, at the start and in every answer
    """
    servings.once(answer)
    model = servings.model()
    _files(servings, model)
    if not spoil(model):
        return NotApplicable("no file of the model is of a kind whose numbers can be replaced here")
    sample = servings.sample
    with servings.started(model) as server:
        if not server.wait_ready(servings.broken_s(), servings.limits.ping_s):
            return Kept("it does not get ready")
        reply = server.invoke(sample.body, sample.content_type, servings.limits.invoke_s)
    if reply.status == 200 and NOT_A_NUMBER.search(reply.body):
        return Broken(f"it answered {reply.summary()}")
    if reply.status == 200:
        return Kept("it answered with numbers")
    return Kept(f"status {reply.status}")


@clause(SERVING)
def stays_loaded_when_idle(servings: Servings) -> Outcome:
    """After two minutes without a request the model is still loaded: the next answer is as quick.

    Source: developer guide, "How your container should respond to inference requests"; Ray Serve's
        guide, "Configure Ray Serve autoscaling": min_replicas of 0
    Fix: keep one worker with the model in it, whatever the load
    """
    servings.once(answer)
    limits = servings.limits
    sample = servings.sample
    with servings.ready() as server:
        servings.asked(server)
        time.sleep(limits.idle_s)  # idleness itself is what is looked at
        first = server.invoke(sample.body, sample.content_type, limits.invoke_s)
        second = servings.asked(server)
    if first.status != 200:
        return Broken(f"after {limits.idle_s:g} s it got {first.summary()}")
    if first.seconds - second.seconds > limits.reload_s:
        return Broken(
            f"after {limits.idle_s:g} s the answer took {first.seconds:.1f} s, the next one "
            f"{second.seconds:.1f} s"
        )
    return Kept(f"{first.seconds * 1000:.0f} ms")


def _files(servings: Servings, model: Path) -> list[Path]:
    """The model's files. Settled as not applicable where there are none."""
    servings.once(plain)
    found = sorted(path for path in model.rglob("*") if path.is_file())
    if not found:
        raise Settled(NotApplicable("no model is given"))
    return found
