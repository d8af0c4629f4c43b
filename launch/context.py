"""The context of a command: recipe, region and account, images, noted jobs, and requests to AWS."""

import argparse
import json
import os
import re
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from artifact.text.json_text import read_json
from artifact.text.names import printable
from launch.aws import (
    NO_ACCOUNT,
    RETRIES,
    AwsClient,
    AwsLocation,
    Response,
    account_of,
    aws_location,
    client,
    find_region,
)
from launch.errors import THROTTLED, LaunchError, sentence
from launch.image_facts import image_kind
from launch.recipe import Recipe, located
from launch.requests_training import Call, Target, with_owners
from launch.state import State

if TYPE_CHECKING:
    from botocore.awsrequest import AWSResponse
    from botocore.model import OperationModel, ServiceModel

# A role's ARN holds its account, so a dry run needs no credentials.
ARN_ACCOUNT = re.compile(r"^arn:[\w-]+:iam::(\d{12}):")
# Without those that look alike, and without vowels: the letters spell no word.
STAMP_LETTERS = "bcdfghjkmnpqrstvwxz23456789"
IMAGE_NAMES = ("train", "serve", "serve-gpu", "serve-mms", "serve-mms-torch")
# HTTP statuses after which botocore asks again.
PASSING = (500, 502, 503, 504)
ASKED_AGAIN = (*THROTTLED, "LimitExceededException", "RequestTimeout", "RequestTimeoutException")
# A file of image URIs that goes before the recipe's: `slipway local-sagemaker env` sets it, so that
# the images of AWS stay as they are noted.
IMAGES_VARIABLE = "SLIPWAY_IMAGES"


@dataclass
class LaunchContext:
    """State of one command. dry: collect requests, ask AWS nothing. print: a line for people.

    poll_s: seconds between two looks at a job. stamp: time and random letters, in the names of new
    things. attempt: in the tag of new things; by it this command knows its own again. own_buckets:
    those whose owner was asked for, and is right. has_waited: for something that runs on AWS.
    """

    recipe: Recipe
    target: Target
    state: State
    out: Path
    options: argparse.Namespace
    dry: bool
    print: Callable[[str], None]
    poll_s: float = 10.0
    stamp: str = ""
    attempt: str = field(default_factory=lambda: secrets.token_hex(8))
    calls: list[Call] = field(default_factory=list)
    clients: dict[str, AwsClient] = field(default_factory=dict)
    own_buckets: set[str] = field(default_factory=set)
    has_waited: bool = False

    @property
    def location(self) -> AwsLocation:
        return self.target.location

    def client(self, service: str) -> AwsClient:
        """The client of a service; made once."""
        if service not in self.clients:
            made = client(service, self.location.region)
            # botocore sends what the handler returns: no request of S3 can leave the owner out.
            made.meta.events.register(
                "provide-client-params.s3",
                lambda params, **_: with_owners(self.recipe, self.location, params),
            )
            made.meta.events.register("needs-retry", say_retry)
            self.clients[service] = made
        return self.clients[service]

    def ask(self, service: str, operation: str, **request: object) -> Response:
        """Send a request and return AWS's answer.

        A dry run checks the request by botocore's model, keeps it for `show`, and answers {}.
        """
        if self.dry:
            if service == "s3":
                request = with_owners(self.recipe, self.location, request)
            call = Call(service, operation, request)
            validate(call)
            self.calls.append(call)
            return {}
        response: Response = getattr(self.client(service), _method(operation))(**request)
        return response

    def send(self, call: Call) -> Response:
        return self.ask(call.service, call.operation, **call.request)

    def now(self) -> str:
        return datetime.now(UTC).isoformat(timespec="seconds")

    def note(self, kind: str, name: str, **facts: object) -> None:
        """Remember a thing that is about to be started; a dry run starts nothing."""
        if not self.dry:
            self.state.add(kind, name, self.now(), **facts)

    def wait(self) -> None:
        self.has_waited = True
        time.sleep(self.poll_s)

    def show(self) -> str:
        """The requests of a dry run, as JSON."""
        documents = [
            {"service": call.service, "operation": call.operation, "request": call.request}
            for call in self.calls
        ]
        # default=str: paths and bytes stand for bodies.
        return json.dumps(documents, indent=2, default=str)


def open_context(
    recipe: Recipe, options: argparse.Namespace, out: Path, print_line: Callable[[str], None]
) -> LaunchContext:
    """Find region, account and images. A dry run uses stand-ins for unknown ones."""
    dry = options.dry_run
    location = find_location(recipe, dry, print_line)
    images = find_images(recipe, location, dry, print_line)
    return LaunchContext(
        recipe=recipe,
        target=Target(location, images),
        state=State(out / "launch" / f"{recipe.slug}.json", recipe.name),
        out=out,
        options=options,
        dry=dry,
        print=print_line,
        poll_s=options.poll,
        stamp=new_stamp(),
    )


def say_retry(
    attempts: int,
    operation: "OperationModel",
    caught_exception: Exception | None,
    response: "tuple[AWSResponse, Response] | None" = None,
    **_: object,
) -> None:
    """A line for each attempt that is repeated: a client that waits in silence looks hung.

    attempts: how many were made so far. response: HTTP's and the parsed one.
    """
    most: int = RETRIES["max_attempts"]
    if attempts >= most:
        return
    what = ""
    if caught_exception is not None:
        what = f"no answer at attempt {attempts} of {most} ({sentence(caught_exception)})"
    elif response is not None and is_passing(response):
        error = response[1].get("Error", {})
        words = f"{error.get('Code', '')} {error.get('Message', '')}".strip()
        what = f"answered {words} at attempt {attempts} of {most}"
    if what:
        to_stderr(f"AWS: {operation.name}: {what}; trying again")


def is_passing(response: "tuple[AWSResponse, Response]") -> bool:
    """Whether botocore repeats a request after this answer: a fault of AWS's, or throttling."""
    http, parsed = response
    code = parsed.get("Error", {}).get("Code", "")
    return http.status_code in PASSING or code in ASKED_AGAIN


def to_stderr(line: str) -> None:
    """A line for people, where standard output is for programs."""
    print(printable(line), file=sys.stderr)


def new_stamp() -> str:
    """The minute in UTC, and letters by chance: two commands never make one name."""
    letters = "".join(secrets.choice(STAMP_LETTERS) for _ in range(4))
    return datetime.now(UTC).strftime(f"%y%m%d-%H%M-{letters}")


def find_location(recipe: Recipe, dry: bool, print_line: Callable[[str], None]) -> AwsLocation:
    """Region and account: the role's account where it is an ARN, else the credentials'."""
    region = find_region(recipe.sagemaker.region)
    found = ARN_ACCOUNT.match(recipe.sagemaker.role)
    if found:
        return aws_location(region, found[1])
    try:
        # STS answers even without any permission.
        return aws_location(region, account_of(region))
    except LaunchError:
        raise
    except Exception as error:  # botocore's errors have no common parent
        if not dry:
            raise
        print_line(f"dry run: account {NO_ACCOUNT} stands for yours ({sentence(error)})")
        return aws_location(region, NO_ACCOUNT)


def images_file(recipe: Recipe) -> Path:
    """The file of images' URIs that build_and_push.sh writes."""
    given = os.environ.get(IMAGES_VARIABLE) or recipe.sagemaker.images
    return located(given, of_all_projects=True)


def find_images(
    recipe: Recipe, location: AwsLocation, dry: bool, print_line: Callable[[str], None]
) -> dict[str, str]:
    """URIs by name: those of the file that build_and_push.sh writes, then the recipe's own."""
    path = images_file(recipe)
    try:
        pushed = read_json(path.read_text(encoding="utf-8"))
        found = {**pushed, **recipe.sagemaker.image_uris}
    except FileNotFoundError:
        found = dict(recipe.sagemaker.image_uris)
    except (OSError, ValueError, TypeError) as error:
        raise LaunchError(f"'{path}' is not a file of image URIs: {error}") from error
    if not dry:
        return found
    variants = sorted(name for name in recipe.used_images if image_kind(name) in IMAGE_NAMES)
    missing = [name for name in dict.fromkeys((*IMAGE_NAMES, *variants)) if name not in found]
    if missing:
        print_line(
            "dry run: tag latest stands for images that are not pushed yet: " + ", ".join(missing)
        )
    for name in missing:
        kind = image_kind(name)
        suffix = name.removeprefix(kind)
        found[name] = f"{location.ecr_host()}/slipway-{kind}:latest{suffix}"
    return found


def validate(call: Call) -> None:
    """Check a request by botocore's own model of the service. LaunchError with the mistake."""
    from botocore.validate import ParamValidator

    shape = service_model(call.service).operation_model(call.operation).input_shape
    if shape is None:
        return  # an operation without parameters
    report = ParamValidator().validate(call.request, shape)
    if report.has_errors():
        mistakes = " ".join(report.generate_report().split())
        raise LaunchError(f"{call.operation} would be refused: {mistakes}")


@cache
def service_model(service: str) -> "ServiceModel":
    """botocore's model of a service; SageMaker's takes half a second to load."""
    import botocore.session

    return botocore.session.get_session().get_service_model(service)


def _method(operation: str) -> str:
    """boto3's name of an operation: CreateEndpoint is create_endpoint."""
    from botocore import xform_name

    return xform_name(operation)
