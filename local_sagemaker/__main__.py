"""python -m local_sagemaker: SageMaker's own API here, for boto3, the AWS CLI, `python -m launch`.

    . out/sagemaker/exports.sh

That file has this server's address and key as exports; they are printed, too. The key is made anew
at each start, and every request must be signed with it. Host must be a loopback name, --host, or an
--allow-host; a request of another web page is refused.

Trainings, endpoints and transform jobs really run: in containers, or without a Docker engine as
processes of this checkout. S3, ECR, IAM, STS and logs are those of moto's server
(`python -m local_sagemaker.moto`), or real ones; folders of this machine (file:///…) stand in for
S3 where they lie below the folder of start or a --root.
POST /local/training-jobs/NAME/interrupt takes a spot job's instances back.

It does not check roles, quotas, instance types, VPC, KMS; it does not bill. It has no
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
import socket
import sys
import threading
from pathlib import Path

from werkzeug.serving import BaseWSGIServer, make_server

from artifact.host_rule import WILDCARDS, HostRule
from artifact.log_lines import log_to
from artifact.names import escape_output
from local_sagemaker import folders, lifecycle
from local_sagemaker.access import Access
from local_sagemaker.guard import Guard, add_allow_host
from local_sagemaker.platform import Platform
from local_sagemaker.server import create_app
from recipes.command_line import CommandLine
from runtime.container_engine import choose_container_engine
from runtime.errors import RunError

DEFAULT_PORT = 8090
log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; then stop everything that runs."""
    escape_output()
    options = parsed(arguments)
    log_to(sys.stderr)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    keys = Access(options.own_key)
    try:
        platform = Platform(options.state, choose_container_engine(options.engine))
        servers = _servers(options, platform, keys)
    except (RunError, OSError) as error:
        print(f"sagemaker: {error}", file=sys.stderr)
        return 1
    folders.allow([Path.cwd(), platform.answers, *options.root])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _shut_down_aside(servers))
    url = _url(options.host, servers[0].server_port)
    exports = keys.exports(platform.folder, url)
    lifecycle.resume(platform)
    print(
        f"sagemaker: engine={platform.container_engine.name} state={platform.folder} url={url}",
        exports,
        sep="\n",
        end="",
        flush=True,
    )
    for further in servers[1:]:
        threading.Thread(target=further.serve_forever, name="gateway", daemon=True).start()
    servers[0].serve_forever()
    lifecycle.close(platform)
    return 0


def _servers(options: argparse.Namespace, platform: Platform, keys: Access) -> list[BaseWSGIServer]:
    """The server, and another at the address by which containers reach this machine, if need be."""
    own = options.host
    if own in WILDCARDS:
        own = "127.0.0.1"
    for_containers = platform.container_engine.gateway() or own
    rule = HostRule.of(options.host, [for_containers, *options.allow_host], "--allow-host")
    app = Guard(create_app(platform, keys), rule)
    servers = [make_server(options.host, options.port, app, threaded=True)]
    port = servers[0].server_port
    if for_containers != own and options.host not in WILDCARDS:
        try:
            with socket.create_server((for_containers, port)) as listener:
                servers.append(
                    make_server(for_containers, port, app, threaded=True, fd=listener.fileno())
                )
        except OSError as error:  # as with Docker Desktop, whose gateway is another machine
            log.info("containers cannot reach this server at %s: %s", for_containers, error)
            return servers
    platform.container_environment = keys.container_environment(_url(for_containers, port))
    return servers


def _url(host: str, port: int) -> str:
    if ":" in host:
        return f"http://[{host}]:{port}"
    return f"http://{host}:{port}"


def _shut_down_aside(servers: list[BaseWSGIServer]) -> None:
    """End the servers from other threads: a handler of signals must not wait for them."""
    for server in servers:
        threading.Thread(target=server.shutdown).start()


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = CommandLine(
        prog="local_sagemaker",
        description=__doc__,
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default 127.0.0.1)",
    )
    add_allow_host(parser)
    parser.add_argument(
        "--own-key",
        action="store_true",
        help="also take requests signed with this server's own AWS credentials, as for a real S3",
    )
    parser.add_argument(
        "--root",
        action="append",
        type=Path,
        default=[],
        metavar="FOLDER",
        help="a folder that may stand in for S3, beside the folder of start; several times",
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
