"""CloudFormation's part for the API's stack, which moto does not know: create, describe, delete over its own protocol, and in place of Lambda and API
Gateway the very zip that was put into S3, run for each request at a URL of this machine.
"""

import http.server
import io
import json
import subprocess
import sys
import zipfile
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import parse_qs

from aws import Gateway, running_server

HANDLE = "import json, sys; from api import handler; print(json.dumps(handler.handle(json.load(sys.stdin))))"
STACK = ("<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>{name}</StackName><CreationTime>2026-01-01T00:00:00Z</CreationTime>"
         "<StackStatus>CREATE_COMPLETE</StackStatus><Outputs><member><OutputKey>Url</OutputKey><OutputValue>{url}</OutputValue></member></Outputs>"
         "</member></Stacks></DescribeStacksResult></DescribeStacksResponse>")
MISSING = "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code><Message>Stack with id {name} does not exist</Message></Error></ErrorResponse>"
DONE = "<{0}Response><{0}Result><StackId>{1}</StackId></{0}Result></{0}Response>"


class CloudFormation(http.server.ThreadingHTTPServer):
    """environment: of the functions, where AWS is for them; s3: a client; folder: for their code. stacks: URL by name; all of them: every name that there was."""

    def __init__(self, environment: dict[str, str], s3, folder: Path, servers: ExitStack):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.environment, self.s3, self.folder, self.servers = environment, s3, folder, servers
        self.stacks: dict[str, str] = {}
        self.made: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def make(self, name: str, parameters: dict[str, str]) -> None:
        """A stack's function behind a URL, with what the template gives it of the parameters."""
        code = self.folder / name
        content = self.s3.get_object(Bucket=parameters["CodeBucket"], Key=parameters["CodeKey"])["Body"].read()
        zipfile.ZipFile(io.BytesIO(content)).extractall(code)
        environment = {**self.environment, "SLIPWAY_ENDPOINT": parameters["EndpointName"], "SLIPWAY_SURE_FROM": parameters["SureFrom"],
                       "SLIPWAY_SAMPLES": f"s3://{parameters['SamplesBucket']}/{parameters['SamplesPrefix']}", "SLIPWAY_JWT": "false"}

        def handle(event: dict) -> dict:
            done = subprocess.run([sys.executable, "-c", HANDLE], cwd=code, env=environment, input=json.dumps(event), capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout)

        gateway = self.servers.enter_context(running_server(Gateway(handle)))
        self.stacks[name] = f"http://127.0.0.1:{gateway.server_port}/"
        self.made.append(name)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: CloudFormation

    def do_POST(self) -> None:
        form = {key: values[0] for key, values in parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode(), keep_blank_values=True).items()}
        action, name, stacks = form["Action"], form["StackName"], self.server.stacks
        if action == "CreateStack":
            count = sum(key.endswith(".ParameterKey") for key in form)
            member = "Parameters.member.{}.Parameter{}"
            self.server.make(name, {form[member.format(number, "Key")]: form[member.format(number, "Value")] for number in range(1, count + 1)})
        elif action == "DeleteStack":
            stacks.pop(name, None)
        if action != "DescribeStacks":
            return self._send(200, DONE.format(action, name))
        return self._send(200, STACK.format(name=name, url=stacks[name])) if name in stacks else self._send(400, MISSING.format(name=name))

    def _send(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
