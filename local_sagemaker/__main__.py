"""python -m local_sagemaker: SageMaker's own API here, for boto3, the AWS CLI, `python -m launch`.

    export AWS_ENDPOINT_URL_SAGEMAKER=http://127.0.0.1:8090
    export AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME=http://127.0.0.1:8090
    export AWS_ENDPOINT_URL_SERVICE_QUOTAS=http://127.0.0.1:8090

Trainings, endpoints and transform jobs really run: in containers, or without a Docker engine as
processes of this checkout. S3, ECR, IAM, STS and logs are those of moto's server
(AWS_ENDPOINT_URL=… of it), or real ones; folders of this machine (file:///…) stand in for S3.
POST /local/training-jobs/NAME/interrupt takes a spot job's instances back.

It does not check signatures, roles, quotas, instance types, VPC, KMS; it does not bill. It has no
Pipe mode, EFS and FSx, augmented manifests, instance groups, warm pools, built-in algorithms, hubs.
Custom debugger rules are not evaluated; built-in ones are once, after the training, by `diagnose`.
Endpoints, searches and processes have no network isolation. Trainings of a search have no spot
interruption and no checkpoints in S3. There are no inference components, inference pipelines,
shadow variants, autoscaling (record it in moto), Clarify; an update shifts all traffic at once,
with rollback. When the server ends, trainings and transform jobs have Failed; tuning jobs go on
and endpoints come up again at its next start. Processing, AutoML, Pipelines, Studio, the model
registry and all other operations are answered with UnknownOperationException. A GPU is shared by
all that runs. Times are those of this machine, not of SageMaker's.
"""

import argparse
import logging
import signal
import sys
import threading
from pathlib import Path

from werkzeug.serving import make_server

from artifact.names import escape_output
from local_sagemaker import lifecycle
from local_sagemaker.platform import Platform
from local_sagemaker.server import create_app
from runtime.container_engine import choose_container_engine
from runtime.errors import RunError

DEFAULT_PORT = 8090


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; then stop everything that runs."""
    escape_output()
    options = parsed(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    try:
        platform = Platform(options.state, choose_container_engine(options.engine))
        server = make_server(options.host, options.port, create_app(platform), threaded=True)
    except (RunError, OSError) as error:
        print(f"sagemaker: {error}", file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    lifecycle.resume(platform)
    url = f"http://{options.host}:{server.server_port}"
    print(
        f"sagemaker: engine={platform.container_engine.name} state={platform.folder} url={url}",
        flush=True,
    )
    server.serve_forever()
    lifecycle.close(platform)
    return 0


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local_sagemaker",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; whoever reaches it may do everything (default 127.0.0.1)",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=DEFAULT_PORT,
        help=f"0 takes a free one (default {DEFAULT_PORT})",
    )
    parser.add_argument(
        "--state",
        type=Path,
        default=Path("out/sagemaker"),
        help="folder of all it remembers, its logs and what runs (default out/sagemaker)",
    )
    parser.add_argument(
        "--engine", default="", help="docker or process (default: docker where an engine answers)"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
