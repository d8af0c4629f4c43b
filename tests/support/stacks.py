"""CloudFormation's part for the API's stack: moto does not know API Gateway.

It creates, updates, describes and deletes stacks over CloudFormation's own protocol. Lambda and
API Gateway are the zip file of S3 itself, run for each request at a URL of this machine.
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
from typing import Any
from urllib.parse import parse_qs

import yaml

from tests.support.api_gateway import Event, Gateway
from tests.support.aws import running_server
from tests.support.jobs import REPOSITORY

HANDLE = """
import json, sys
from web.aws import handler

print(json.dumps(handler.handle(json.load(sys.stdin))))
"""
STACK = (
    "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>{name}</StackName>"
    "<CreationTime>2026-01-01T00:00:00Z</CreationTime><StackStatus>{status}</StackStatus>"
    "<Outputs><member><OutputKey>Url</OutputKey><OutputValue>{url}</OutputValue></member></Outputs>"
    "</member></Stacks></DescribeStacksResult></DescribeStacksResponse>"
)
REFUSED = (
    "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code>"
    "<Message>{}</Message></Error></ErrorResponse>"
)
DONE = "<{0}Response><{0}Result><StackId>{1}</StackId></{0}Result></{0}Response>"
# A parameter in CloudFormation's form data; part: Key or Value, number: from 1.
MEMBER = "Parameters.member.{number}.Parameter{part}"


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short functions, such as !Sub, as their plain arguments."""


def _plain(loader: _Loader, suffix: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    assert isinstance(node, yaml.ScalarNode)
    return loader.construct_scalar(node)


_Loader.add_multi_constructor("!", _plain)


def resources() -> dict[str, Any]:
    # Which function it was does not matter here; that it can be read does.
    """The template, its short functions as their arguments: their names do not matter here."""
    text = (REPOSITORY / "web" / "aws" / "template.yaml").read_text(encoding="utf-8")
    template: dict[str, Any] = yaml.load(text, _Loader)
    return template


def refusal(parameters: dict[str, str]) -> str:
    """CloudFormation's answer to parameters that the template does not accept; else empty."""
    declared = resources()["Parameters"]
    wrong = set(parameters) - set(declared)
    for name, declaration in declared.items():
        if name not in parameters:
            if "Default" not in declaration:
                wrong.add(name)
        elif not re.fullmatch(declaration.get("AllowedPattern", ".*"), parameters[name]):
            wrong.add(name)
    if not wrong:
        return ""
    return f"Parameters: {sorted(wrong)} are missing, unknown, or not of their pattern"


class CloudFormation(http.server.ThreadingHTTPServer):
    """environment: the functions' one, with AWS's addresses. s3: a client. folder: for their code.

    stacks: URL, state and parameters by name. made: every name that was ever created or updated.
    """

    def __init__(self, environment: dict[str, str], s3: Any, folder: Path, servers: ExitStack):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.environment = environment
        self.s3 = s3
        self.folder = folder
        self.servers = servers
        self.stacks: dict[str, tuple[str, str, dict[str, str]]] = {}
        self.made: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def make(self, name: str, parameters: dict[str, str]) -> str:
        """Put a stack's function behind a URL; the refusal of its parameters, empty for none."""
        refused = refusal(parameters)
        if refused:
            return refused
        state = "CREATE_COMPLETE"
        if name in self.stacks:
            state = "UPDATE_COMPLETE"
            # CloudFormation refuses an update that changes nothing.
            if self.stacks[name][2] == parameters:
                return "No updates are to be performed."
        code = self.unpack(name, parameters)
        environment = {**self.environment, **function_environment(parameters)}

        def handle(event: Event) -> Event:
            # A process for each request, with nothing but the zip file: what is missing in it
            # shows.
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
            answer: Event = json.loads(done.stdout)
            return answer

        gateway = self.servers.enter_context(running_server(Gateway(handle)))
        self.stacks[name] = (f"http://127.0.0.1:{gateway.server_port}/", state, parameters)
        self.made.append(name)
        return ""

    def unpack(self, name: str, parameters: dict[str, str]) -> Path:
        """The function's code from S3, in a folder of its own."""
        # An update has code of its own; the old folder may still answer.
        folder = self.folder / f"{name}-{len(self.made)}"
        answer = self.s3.get_object(Bucket=parameters["CodeBucket"], Key=parameters["CodeKey"])
        zipfile.ZipFile(io.BytesIO(answer["Body"].read())).extractall(folder)
        return folder


def function_environment(parameters: dict[str, str]) -> dict[str, str]:
    """The function's variables, as the template makes them of its parameters."""
    endpoint = parameters["EndpointName"]
    if parameters["TargetModel"]:
        endpoint += f"/{parameters['TargetModel']}"
    return {
        "SLIPWAY_ENDPOINT": endpoint,
        "SLIPWAY_SURE_FROM": parameters["SureFrom"],
        "SLIPWAY_SAMPLES": f"s3://{parameters['SamplesBucket']}/{parameters['SamplesPrefix']}",
        "SLIPWAY_JWT": "false",
        "SLIPWAY_API_KEY_SHA256": parameters["ApiKeySha256"],
    }


class _Handler(http.server.BaseHTTPRequestHandler):
    server: CloudFormation

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        fields = parse_qs(body, keep_blank_values=True)
        # A form's fields come as lists; CloudFormation sends each once.
        form = {key: values[0] for key, values in fields.items()}
        action = form["Action"]
        name = form["StackName"]
        if action == "DescribeStacks":
            return self._describe(name)
        if action in ("CreateStack", "UpdateStack"):
            refused = self.server.make(name, parameters_of(form))
            if refused:
                return self._send(400, REFUSED.format(refused))
        elif action == "DeleteStack":
            self.server.stacks.pop(name, None)
        # Deleting a stack that is gone succeeds.
        self._send(200, DONE.format(action, name))

    def _describe(self, name: str) -> None:
        if name not in self.server.stacks:
            return self._send(400, REFUSED.format(f"Stack with id {name} does not exist"))
        url, status, _ = self.server.stacks[name]
        self._send(200, STACK.format(name=name, url=url, status=status))

    def _send(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def parameters_of(form: dict[str, str]) -> dict[str, str]:
    """A stack's parameters by name, from CloudFormation's numbered fields."""
    count = sum(key.endswith(".ParameterKey") for key in form)
    found = {}
    for number in range(1, count + 1):
        key = form[MEMBER.format(number=number, part="Key")]
        found[key] = form[MEMBER.format(number=number, part="Value")]
    return found
