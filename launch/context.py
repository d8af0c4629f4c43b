"""What every command works with: the recipe, region and account, the images, what was started, and one way to ask AWS."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from launch.aws import NO_ACCOUNT, AwsLocation, account_of, aws_location, client, find_region
from launch.errors import LaunchError, sentence
from launch.recipe import Recipe, located
from launch.requests_training import Call, Target
from launch.state import State

ARN_ACCOUNT = re.compile(r"^arn:[\w-]+:iam::(\d{12}):")


@dataclass
class LaunchContext:
    """dry: nothing is asked of AWS, requests are collected to be printed. print: prints a line for people."""

    recipe: Recipe
    target: Target
    state: State
    out: Path
    options: object
    dry: bool
    print: Callable[[str], None]
    poll_s: float = 10.0
    stamp: str = ""
    calls: list[Call] = field(default_factory=list)
    clients: dict = field(default_factory=dict)

    @property
    def location(self) -> AwsLocation:
        return self.target.location

    def client(self, service: str):
        if service not in self.clients:
            self.clients[service] = client(service, self.location.region)
        return self.clients[service]

    def ask(self, service: str, operation: str, **request: object) -> dict:
        """One request to AWS, or in a dry run one more to print, checked by botocore like a real one; its answer is then empty."""
        if self.dry:
            call = Call(service, operation, request)
            validate(call)
            self.calls.append(call)
            return {}
        return getattr(self.client(service), _method(operation))(**request)

    def send(self, call: Call) -> dict:
        return self.ask(call.service, call.operation, **call.request)

    def now(self) -> str:
        return datetime.now(UTC).isoformat(timespec="seconds")

    def note(self, kind: str, name: str, **facts: object) -> None:
        """Remember what is about to be started; a dry run starts nothing."""
        if not self.dry:
            self.state.add(kind, name, self.now(), **facts)

    def wait(self) -> None:
        time.sleep(self.poll_s)

    def show(self) -> str:
        """The requests of a dry run, as JSON."""
        return json.dumps(
            [
                {"service": call.service, "operation": call.operation, "request": call.request}
                for call in self.calls
            ],
            indent=2,
            default=str,
        )


def open_context(
    recipe: Recipe, options, out: Path, print_line: Callable[[str], None]
) -> LaunchContext:
    """Find region, account and images; a dry run takes stand-ins for what only AWS or a push could say."""
    dry = options.dry_run
    location = find_location(recipe, dry, print_line)
    images = find_images(recipe, location, dry, print_line)
    return LaunchContext(
        recipe,
        Target(location, images),
        State(out / "launch" / f"{recipe.slug}.json", recipe.name),
        out,
        options,
        dry,
        print_line,
        options.poll,
        datetime.now(UTC).strftime("%y%m%d-%H%M%S"),
    )


def find_location(recipe: Recipe, dry: bool, print_line: Callable[[str], None]) -> AwsLocation:
    """Region and account: the role's where it is an ARN, else that of the credentials."""
    region = find_region(recipe.settings.region)
    found = ARN_ACCOUNT.match(recipe.settings.role)
    if found:
        return aws_location(region, found[1])
    try:
        return aws_location(region, account_of(region))
    except LaunchError:
        raise
    except Exception as error:  # botocore's errors have no common parent
        if not dry:
            raise
        print_line(f"dry run: account {NO_ACCOUNT} stands for yours ({sentence(error)})")
        return aws_location(region, NO_ACCOUNT)


def find_images(
    recipe: Recipe, location: AwsLocation, dry: bool, print_line: Callable[[str], None]
) -> dict[str, str]:
    """URIs by name: those of the file that build_and_push.sh writes, and the recipe's own."""
    path = located(recipe.settings.images)
    try:
        found = {**json.loads(path.read_text(encoding="utf-8")), **recipe.settings.image_uris}
    except FileNotFoundError:
        found = dict(recipe.settings.image_uris)
    except (OSError, ValueError) as error:
        raise LaunchError(f"'{path}' is no file of image URIs: {error}") from error
    if dry:
        missing = [
            name for name in ("train", "serve", "serve-gpu", "serve-mms") if name not in found
        ]
        if missing:
            print_line(
                f"dry run: tag latest stands for images that are not pushed yet: {', '.join(missing)}"
            )
        found = {
            **{name: f"{location.ecr_host()}/slipway-{name}:latest" for name in missing},
            **found,
        }
    return found


def validate(call: Call) -> None:
    """Check a request by botocore's own model of the service. LaunchError with what is wrong."""
    from botocore.validate import ParamValidator

    report = ParamValidator().validate(
        call.request, service_model(call.service).operation_model(call.operation).input_shape
    )
    if report.has_errors():
        raise LaunchError(
            f"{call.operation} would be refused: {' '.join(report.generate_report().split())}"
        )


@cache
def service_model(service: str):
    """botocore's model of a service; SageMaker's takes half a second to load."""
    import botocore.session

    return botocore.session.get_session().get_service_model(service)


def _method(operation: str) -> str:
    from botocore import xform_name

    return xform_name(operation)
