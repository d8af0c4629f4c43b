"""CloudFormation's part for the API's stack, whose API Gateway moto does not know: create, update, describe, delete over its own protocol, and in place
of Lambda and API Gateway the very zip that was put into S3, run for each request at a URL of this machine.
"""

import http.server
import io
import json
import re
import subprocess
import sys
import zipfile
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import parse_qs

import yaml

from tests.support.aws import Gateway, running_server
from tests.support.jobs import REPOSITORY

HANDLE = """
import json, sys
from web.aws import handler

print(json.dumps(handler.handle(json.load(sys.stdin))))
"""
STACK = (
    "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>{name}</StackName><CreationTime>2026-01-01T00:00:00Z</CreationTime>"
    "<StackStatus>{status}</StackStatus><Outputs><member><OutputKey>Url</OutputKey><OutputValue>{url}</OutputValue></member></Outputs>"
    "</member></Stacks></DescribeStacksResult></DescribeStacksResponse>"
)
REFUSED = "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code><Message>{}</Message></Error></ErrorResponse>"
DONE = "<{0}Response><{0}Result><StackId>{1}</StackId></{0}Result></{0}Response>"


def resources() -> dict:
    """The template, its short functions as lists: what they are called does not matter here."""

    class Loader(yaml.SafeLoader):
        pass

    def plain(loader: Loader, suffix: str, node: yaml.Node) -> object:
        kinds = {
            yaml.SequenceNode: loader.construct_sequence,
            yaml.MappingNode: loader.construct_mapping,
        }
        return (
            kinds[type(node)](node, True) if type(node) in kinds else loader.construct_scalar(node)
        )

    Loader.add_multi_constructor("!", plain)
    return yaml.load(
        (REPOSITORY / "web" / "aws" / "template.yaml").read_text(encoding="utf-8"), Loader
    )


def refusal(parameters: dict[str, str]) -> str:
    """What CloudFormation says of parameters that the template does not take; empty where it takes them."""
    declared = resources()["Parameters"]
    wrong = [
        name
        for name in {*parameters, *declared}
        if name not in declared or name not in parameters and "Default" not in declared[name]
    ]
    wrong += [
        name
        for name, value in parameters.items()
        if not re.fullmatch(declared.get(name, {}).get("AllowedPattern", ".*"), value)
    ]
    return (
        f"Parameters: {sorted(set(wrong))} are missing, unknown, or not of their pattern"
        if wrong
        else ""
    )


class CloudFormation(http.server.ThreadingHTTPServer):
    """environment: of the functions, where AWS is for them; s3: a client; folder: for their code. stacks: URL, state and
    parameters by name; made: every name that there was."""

    def __init__(self, environment: dict[str, str], s3, folder: Path, servers: ExitStack):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.environment, self.s3, self.folder, self.servers = environment, s3, folder, servers
        self.stacks: dict[str, tuple[str, str, dict[str, str]]] = {}
        self.made: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def make(self, name: str, parameters: dict[str, str]) -> str:
        """A stack's function behind a URL, with what the template gives it of the parameters; what is wrong with these, or nothing."""
        if told := refusal(parameters):
            return told
        before = self.stacks.get(name)
        if before and before[2] == parameters:
            return "No updates are to be performed."
        code = self.folder / f"{name}-{len(self.made)}"
        content = self.s3.get_object(Bucket=parameters["CodeBucket"], Key=parameters["CodeKey"])[
            "Body"
        ].read()
        zipfile.ZipFile(io.BytesIO(content)).extractall(code)
        endpoint = "/".join(filter(None, (parameters["EndpointName"], parameters["TargetModel"])))
        environment = {
            **self.environment,
            "SLIPWAY_ENDPOINT": endpoint,
            "SLIPWAY_SURE_FROM": parameters["SureFrom"],
            "SLIPWAY_SAMPLES": f"s3://{parameters['SamplesBucket']}/{parameters['SamplesPrefix']}",
            "SLIPWAY_JWT": "false",
            "SLIPWAY_API_KEY_SHA256": parameters["ApiKeySha256"],
        }

        def handle(event: dict) -> dict:
            done = subprocess.run(
                [sys.executable, "-c", HANDLE],
                cwd=code,
                env=environment,
                input=json.dumps(event),
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout)

        gateway = self.servers.enter_context(running_server(Gateway(handle)))
        self.stacks[name] = (
            f"http://127.0.0.1:{gateway.server_port}/",
            "UPDATE_COMPLETE" if before else "CREATE_COMPLETE",
            parameters,
        )
        self.made.append(name)
        return ""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: CloudFormation

    def do_POST(self) -> None:
        form = {
            key: values[0]
            for key, values in parse_qs(
                self.rfile.read(int(self.headers["Content-Length"])).decode(),
                keep_blank_values=True,
            ).items()
        }
        action, name, stacks = form["Action"], form["StackName"], self.server.stacks
        if action in ("CreateStack", "UpdateStack"):
            count = sum(key.endswith(".ParameterKey") for key in form)
            member = "Parameters.member.{}.Parameter{}"
            told = self.server.make(
                name,
                {
                    form[member.format(number, "Key")]: form[member.format(number, "Value")]
                    for number in range(1, count + 1)
                },
            )
            if told:
                return self._send(400, REFUSED.format(told))
        elif action == "DeleteStack":
            stacks.pop(name, None)
        if action != "DescribeStacks":
            return self._send(200, DONE.format(action, name))
        if name not in stacks:
            return self._send(400, REFUSED.format(f"Stack with id {name} does not exist"))
        return self._send(200, STACK.format(name=name, url=stacks[name][0], status=stacks[name][1]))

    def _send(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
