"""python -m local_test.e2e: the demo on SageMaker's API of this machine, from push to removal.

Each step is one that a user types. Push, upload, check, two chained tuning jobs, a spot training
that is interrupted, one under the debugger, reports, an endpoint, its update, a transform job,
delete; then everything that was left behind is counted. S3, ECR, IAM and logs are moto's; with a
Docker engine the images go through a real registry, without one their manifests go to moto's ECR.
"""

import artifact.host.starting  # noqa: F401  # before all else: it takes Ctrl-C

# isort: split
import argparse
import os
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import boto3

from local_sagemaker.aws import cloud
from local_test import leftovers
from local_test.e2e_steps import StepFailed, Steps
from local_test.e2e_story import NAME, begin, host, search_and_train
from recipes.command_line import CommandLine, interrupted
from runtime.container_engine import ENGINE_HELP, choose_container_engine
from runtime.engine_facts import PROCESS
from runtime.errors import RunError
from runtime.processes import REPOSITORY
from slipway.steps import described

LeftBehind = dict[str, list[str]]  # names by kind


def main() -> int:
    """Run all steps; 0 when each did what it must and nothing is left behind."""
    options = parsed()
    started = time.monotonic()
    try:
        engine = choose_container_engine(options.engine)
        print(f"e2e: running with {described(engine)}", flush=True)
        out = options.out.absolute()
        steps, left = run(engine, out, options.registry)
    except (StepFailed, RunError, OSError) as error:
        print(f"{error}\ne2e: failed", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        return interrupted("e2e")
    for kind, names in left.items():
        print(f"e2e: left behind: {kind}={len(names)} {', '.join(names[:5])}".rstrip(), flush=True)
    count = sum(len(names) for names in left.values())
    seconds = time.monotonic() - started
    print(f"e2e: steps={steps} left_behind={count} seconds={seconds:.0f}", flush=True)
    return int(count > 0)


def parsed() -> argparse.Namespace:
    parser = CommandLine(prog="e2e", description=__doc__)
    parser.add_argument("--engine", default="", help=ENGINE_HELP)
    parser.add_argument(
        "--out",
        type=Path,
        default=REPOSITORY / "out" / NAME,
        help="where recipe, photos and reports are written; emptied first (default: out/e2e)",
    )
    parser.add_argument(
        "--registry",
        type=Path,
        help="a folder for the registry's images, which stay there: an engine sends no layer again "
        "that the registry has (default: none stay)",
    )
    return parser.parse_args()


def run(engine: str, out: Path, kept: Path | None = None) -> tuple[int, LeftBehind]:
    """All steps on servers of their own: their number, and what they left behind, by kind.

    kept: a folder for the registry's images.
    """
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    steps = Steps(out / "recipe.yaml", out)
    with tempfile.TemporaryDirectory(prefix="slipway-e2e-") as name:
        work = Path(name)
        mark = f"E2E_RUN={work.name}"  # in the environment of every process that is started
        environment = cloud.environment_here(
            E2E_RUN=work.name, SLIPWAY_CACHE=str(work / "cache"), VENV=sys.prefix
        )
        # The user's own AWS settings must reach no step.
        os.environ.clear()
        os.environ.update(environment)
        with ExitStack() as servers:
            registry = start(steps, servers, engine, work, kept)
            account = boto3.client("sts").get_caller_identity()["Account"]
            bucket = f"sagemaker-{cloud.REGION}-{account}"
            begin(steps, bucket, registry)
            search_and_train(steps)
            host(steps, bucket)
            left = leftovers.in_aws(cloud.client, bucket)
        if engine != PROCESS:
            left |= leftovers.in_engine(work / "sagemaker", registry)
        left["processes"] = leftovers.processes(mark)
        left["files"] = leftovers.files(work / "sagemaker" / "work")
    return steps.count, left


def start(steps: Steps, servers: ExitStack, engine: str, work: Path, kept: Path | None) -> str:
    """Start moto and local SageMaker, and a registry for Docker: the registry.

    All steps find them by this process's environment.
    """
    environment = dict(os.environ)
    registry = ""
    details = "moto, local SageMaker"
    if engine != PROCESS:
        details += ", a registry"
    with steps.step("start", details):
        # boto3 of all steps reads these variables: every call stays on this machine.
        moto = cloud.moto(work, environment)
        os.environ["AWS_ENDPOINT_URL"] = servers.enter_context(moto)
        server = cloud.sagemaker(work, engine, dict(os.environ))
        os.environ.update(servers.enter_context(server))
        if engine != PROCESS:
            registry = servers.enter_context(cloud.registry(work, environment, kept))
    return registry


if __name__ == "__main__":
    sys.exit(main())
