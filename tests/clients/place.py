"""One local SageMaker as a user's shell finds it, for the scripts of its clients."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3

from local_sagemaker.access.access import read_exports
from local_sagemaker.aws.cloud import answers, environment_here, program, registry
from runtime.engine_facts import PROCESS
from runtime.opt_ml import pack_model
from runtime.own_images import make_ready
from runtime.ports import free_port
from runtime.processes import REPOSITORY
from tests.clients.rows import ACCOUNT
from tests.support.jobs import draw_channel

CHANNELS = {"train": 6, "validation": 2}  # photos per class
HERE = Path(__file__).parent


@dataclass
class Place:
    """folder: of the scripts' work; environment: of their processes."""

    folder: Path
    environment: dict[str, str]


@contextmanager
def place(folder: Path, engine: str, job: Path) -> Iterator[Place]:
    """`python -m local_sagemaker` with all that it starts; photos and a model in its bucket.

    job: the tree of a job that has ended, with the model.
    """
    for image in ("train", "serve"):  # before the server, which is given a minute to start
        make_ready(engine, image, image)
    port = free_port()
    state = folder / "sagemaker"
    command = [sys.executable, "-m", "local_sagemaker", "--port", str(port)]
    command += ["--state", str(state), "--engine", engine, "--root", str(folder)]
    here = environment_here(OMP_NUM_THREADS="1")
    url = f"http://127.0.0.1:{port}"
    with program(command, folder / "server.log", here, lambda: answers(url)):
        exports = read_exports(state)
        _fill(folder, exports, job)
        red = folder / "photos" / "train" / "red"
        more = {
            "PHOTO": str(next(red.iterdir())),
            "PYTHONPATH": str(HERE),
            "HOME": str(folder),  # no file of the user's own is read
            "OMP_NUM_THREADS": "1",
            # smdebug's messages are of an older protobuf; protobuf itself names this way out.
            "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python",
        }
        with _registry(folder, engine) as host:
            yield Place(folder, environment_here(**exports, **more, REGISTRY=host))


@contextmanager
def _registry(folder: Path, engine: str) -> Iterator[str]:
    """host:port of a registry with slipway-serve, as `make push` puts it there; "" without one."""
    if engine == PROCESS or shutil.which("docker-registry") is None:
        yield ""
        return
    with registry(folder, environment_here()) as host:
        settings = {"REGISTRY": host, "DIRTY": "1", "LATEST": "1", "PUSH": "serve"}
        settings["OUT"] = str(folder / "pushed.json")
        subprocess.run(["make", "push"], cwd=REPOSITORY, env={**os.environ, **settings}, check=True)
        yield host


def _fill(folder: Path, exports: dict[str, str], job: Path) -> None:
    """Photos of three colours and a model that knows them, into the default bucket."""
    s3 = boto3.client(
        "s3",
        endpoint_url=exports["AWS_ENDPOINT_URL"],
        region_name=exports["AWS_REGION"],
        aws_access_key_id=exports["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=exports["AWS_SECRET_ACCESS_KEY"],
    )
    bucket = f"sagemaker-{exports['AWS_REGION']}-{ACCOUNT}"
    photos = folder / "photos"
    for number, (name, count) in enumerate(CHANNELS.items()):
        for path in draw_channel(photos / name, count, seed=number * 100).rglob("*.jpg"):
            s3.upload_file(str(path), bucket, f"photos/{path.relative_to(photos)}")
    pack_model(job, folder / "model.tar.gz")
    s3.upload_file(str(folder / "model.tar.gz"), bucket, "made/model.tar.gz")
