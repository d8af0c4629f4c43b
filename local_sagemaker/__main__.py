"""python -m local_sagemaker: SageMaker's own API here, for boto3, the AWS CLI, `python -m launch`.

    python -m local_sagemaker &
    eval "$(python -m local_sagemaker env)"    # waits until it answers
    python -m local_sagemaker stop

Its console shows what runs, in a browser: at the link that it prints, which opens once.
`python -m local_sagemaker link` prints another one.

It starts moto's server beside it, with the recipe's role and bucket and with our images, which are
found here by their own names. With --alone it starts none of that: S3, ECR, IAM and logs are then
those that AWS_ENDPOINT_URL names, or real ones. moto forgets everything when it ends.

Its addresses and its key are printed as exports, and written to exports.sh in --state. The key is
made anew at each start, and every request must be signed with it. Host must be a loopback name,
--host, or an --allow-host; a request of another web page is refused.

Trainings, endpoints, transform and processing jobs really run: in containers, or without a Docker
engine as processes of this checkout: of processing jobs `python -m prepare` alone then runs.
Folders of this machine (file:///…) stand in for S3 where they lie below the folder of start or a
--root. POST /local/training-jobs/NAME/interrupt takes a spot job's instances back.

It does not check roles, quotas, instance types, VPC, KMS; it does not bill. It has no Pipe mode,
EFS and FSx, augmented manifests, warm pools, built-in algorithms, hubs. Custom debugger rules are
not evaluated; built-in ones are once, after the training, by `diagnose`. Endpoints and processes
have no network isolation. There are no inference components, inference pipelines, Clarify. An
answer comes in one piece, not as a stream. Asynchronous endpoints alone scale, by the backlog;
CloudWatch's alarms are not evaluated. Their notices by SNS hold no answer, and their
MaxConcurrentInvocationsPerInstance counts the instances of the configuration. Updates of endpoints
go by their DeploymentConfig; an alarm rolls them back that CloudWatch says is in ALARM. When the
server ends, trainings, transform and processing jobs and pipelines that run have Failed; tuning
jobs go on and endpoints come up again at its next start.
Processing takes S3Input and S3Output in File mode. Model packages are not validated, and those of
algorithms, the Marketplace and managed storage are refused. Search finds trainings, tuning jobs,
endpoints, model packages, pipelines. These have steps of Processing, Training, Tuning, Transform,
Model, RegisterModel, Condition, Fail; no retry policies, selective execution, versions,
experiments, MLflow. AutoML, Studio and all other operations are answered with
UnknownOperationException. A GPU is shared by all that runs. Times are those of this machine, not of
SageMaker's.
"""

import artifact.host.starting  # noqa: F401  # before all else: it takes Ctrl-C

# isort: split
import argparse
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from werkzeug.serving import BaseWSGIServer, make_server

from artifact.host.host_rule import WILDCARDS, HostRule
from artifact.host.listening import bypassed, check_free
from artifact.text.log_lines import log_to
from artifact.text.names import escape_output
from local_sagemaker import folders, lifecycle
from local_sagemaker.access.access import Access
from local_sagemaker.access.container_door import ContainerDoor, container_variables
from local_sagemaker.access.guard import Guard
from local_sagemaker.aws import surroundings
from local_sagemaker.console.app import Front, create_console
from local_sagemaker.options import PROGRAM, parsed
from local_sagemaker.platform import Platform
from local_sagemaker.server import create_app
from local_sagemaker.state_folder import alone, console_link, exports_when_ready, stop
from recipes.command_line import interrupted, typed
from recipes.errors import RecipeError
from runtime import docker
from runtime.container_engine import choose_container_engine
from runtime.errors import RunError

FAILED = 1
log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Serve, or find or end the server; the exit code, 1 after one sentence."""
    escape_output()
    options = parsed(__doc__ or "", arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what is started is ended first
    try:
        if options.command == "env":
            print(exports_when_ready(options.state), end="")
        elif options.command == "link":
            print(console_link(options.state))
        elif options.command == "stop":
            stop(options.state)
        else:
            with alone(options.state.absolute()):
                serve(options)
        return 0
    except (RunError, RecipeError, OSError) as error:
        if options.command == "env":
            print("false")  # so that `eval` fails, too
        print(f"sagemaker: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return interrupted("sagemaker")


def serve(options: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT; then stop everything that runs.

    RunError, RecipeError or OSError where it cannot start.
    """
    log_to(sys.stderr)
    for talkative in ("werkzeug", "botocore"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    check_free(options.host, options.port, "--port")
    engine = choose_container_engine(options.engine)
    if options.alone:
        _serve(options, engine, {})
        return
    with surroundings.started(options, engine) as variables:
        _serve(options, engine, variables)


def _serve(options: argparse.Namespace, engine: str, variables: Mapping[str, str]) -> None:
    """The server itself. variables: what its clients need beside its own."""
    platform = Platform(options.state, engine)
    keys = Access(options.own_key)
    servers = _servers(options, platform, keys)
    folders.allow([Path.cwd(), platform.answers, *options.root])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _shut_down_aside(servers))
    url = _url(_own_host(options), servers[0].server_port)
    exports = keys.exports(platform.folder, url, variables)
    lifecycle.resume(platform)
    print(
        f"sagemaker: engine={platform.container_engine.name} state={platform.folder} url={url}",
        f"{exports}sagemaker: the console, once by this link: {url}{keys.console.new_link()}",
        f'sagemaker: in any shell: eval "$({typed(PROGRAM)} env)"; Ctrl-C ends it',
        sep="\n",
        flush=True,
    )
    for further in servers[1:]:
        threading.Thread(target=further.serve_forever, name="gateway", daemon=True).start()
    servers[0].serve_forever()
    lifecycle.close(platform)


def _servers(options: argparse.Namespace, platform: Platform, keys: Access) -> list[BaseWSGIServer]:
    """The server, and another at the address by which containers reach this machine, if need be."""
    own = _own_host(options)
    gateway = platform.container_engine.gateway()
    for_containers = gateway or own
    rule = HostRule.of(options.host, [for_containers, *options.allow_host], "--allow-host")
    api = create_app(platform, keys)
    # Containers that have an address of their own reach the API there, and not the console.
    app = Guard(api, rule)
    front = Guard(Front(create_console(platform, keys.console), api), rule)
    servers = [make_server(options.host, options.port, front, threaded=True)]
    port = servers[0].server_port
    platform.own_environment = keys.user_environment(_url(own, port))
    given = keys.container_environment(_url(for_containers, port))
    try:
        if for_containers != own and options.host not in WILDCARDS:
            servers.append(_listening(for_containers, port, app))
        if gateway:  # processes reach what this one reaches
            door = _listening(gateway, 0, Guard(ContainerDoor(keys.of_containers), rule))
            servers.append(door)
            given |= container_variables(_url(gateway, door.port))
    except OSError as error:  # as with Docker Desktop, whose gateway is another machine
        log.info("containers cannot reach this server at %s: %s", for_containers, error)
        return servers
    # Containers may inherit a site's proxy from the Docker client, and it cannot reach this server.
    excepted = {**os.environ, "NO_PROXY": docker.excepted_from_proxies()}
    platform.container_environment = given | bypassed(excepted, for_containers)
    return servers


def _own_host(options: argparse.Namespace) -> str:
    """The address by which this machine's own programs ask."""
    if options.host in WILDCARDS:
        return "127.0.0.1"
    return str(options.host)


def _listening(host: str, port: int, app: Guard) -> BaseWSGIServer:
    """A further server. OSError where the address is not this machine's."""
    with socket.create_server((host, port)) as listener:
        return make_server(host, port, app, threaded=True, fd=listener.fileno())


def _url(host: str, port: int) -> str:
    if ":" in host:
        return f"http://[{host}]:{port}"
    return f"http://{host}:{port}"


def _shut_down_aside(servers: list[BaseWSGIServer]) -> None:
    """End the servers from other threads: a handler of signals must not wait for them."""
    for server in servers:
        threading.Thread(target=server.shutdown).start()


if __name__ == "__main__":
    sys.exit(main())
