"""The API as a CloudFormation stack: what goes into it, and making, changing and removing it. Clients of boto3 are given, so that the
caller chooses account, region and credentials.
"""

import hashlib
import io
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError, WaiterError

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"api": ("__init__.py", "handler.py", "endpoint.py"), "web": ("*.py", "page.html")}
WAIT = {"Delay": 5, "MaxAttempts": 120}
REMOVED_FIRST = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "REVIEW_IN_PROGRESS", "DELETE_FAILED")  # stacks that were never made, or that cannot be changed


class DeploymentError(Exception):
    """Why there is no such API, in one sentence."""


@dataclass(frozen=True)
class ApiOptions:
    """One API. stack: its name; endpoint: the SageMaker endpoint; code_bucket: where the function's code is put; samples: s3://bucket/prefix/
    of validation photos, one folder a label. At most one of api_key_sha256 and jwt_issuer. DeploymentError for what cannot be meant."""

    stack: str
    endpoint: str
    code_bucket: str
    samples: str = ""
    origins: tuple[str, ...] = ()
    api_key_sha256: str = ""
    jwt_issuer: str = ""
    jwt_audience: tuple[str, ...] = ()
    requests_per_second: int = 10
    request_burst: int = 20
    sure_from: float = 0.5
    log_days: int = 30

    def __post_init__(self) -> None:
        for origin in self.origins:
            if not re.fullmatch(r"https?://[a-z0-9.-]+(:\d+)?", origin):
                raise DeploymentError(f"'{origin}' is no web origin; name it as https://example.org, without a path")
        if self.samples and not re.fullmatch(r"s3://[a-z0-9.-]{3,63}(/.*)?", self.samples):
            raise DeploymentError(f"samples are '{self.samples}'; give them as s3://bucket/prefix/")
        if self.api_key_sha256 and not re.fullmatch(r"[0-9a-f]{64}", self.api_key_sha256):
            raise DeploymentError("the API key's SHA-256 is not 64 digits in lower-case hexadecimal; make it with `printf %s KEY | sha256sum`")
        if self.api_key_sha256 and self.jwt_issuer:
            raise DeploymentError("give an API key or a token's issuer, not both")
        if bool(self.jwt_issuer) != bool(self.jwt_audience):
            raise DeploymentError("a token's issuer and its audience go together; give both or none")


def options_of(section: Mapping[str, object], **others: str) -> ApiOptions:
    """ApiOptions from a recipe's section of their names, and from what the caller knows better: stack, endpoint, code_bucket. DeploymentError
    that lists the names for one that is unknown."""
    values = {**section, **others}
    known = [entry.name for entry in fields(ApiOptions)]
    unknown = sorted(set(values) - set(known))
    missing = sorted({"stack", "endpoint", "code_bucket"} - set(values))
    if unknown or missing:
        what = f"'{unknown[0]}' is no option of the API" if unknown else f"the API needs '{missing[0]}'"
        raise DeploymentError(f"{what}; there are {', '.join(known)}")
    return ApiOptions(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def code() -> bytes:
    """The function's zip file: the same bytes for the same files, so that its name tells whether anything changed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for folder, patterns in FOLDERS.items():
            for file in sorted({file for pattern in patterns for file in (ROOT / folder).glob(pattern)}):
                entry = zipfile.ZipInfo(f"{folder}/{file.name}", (1980, 1, 1, 0, 0, 0))
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                archive.writestr(entry, file.read_bytes())
    return buffer.getvalue()


def code_key(stack: str, zipped: bytes) -> str:
    """Where the function's code is put in its bucket."""
    return f"slipway-api/{stack}-{hashlib.sha256(zipped).hexdigest()[:16]}.zip"


def parameters(options: ApiOptions, key: str) -> list[dict[str, str]]:
    """The stack's parameters, as CloudFormation takes them."""
    bucket, _, prefix = options.samples.removeprefix("s3://").partition("/")
    values = {
        "EndpointName": options.endpoint, "EndpointArnName": options.endpoint.lower(), "CodeBucket": options.code_bucket, "CodeKey": key,
        "SamplesBucket": bucket, "SamplesPrefix": f"{prefix.strip('/')}/" if prefix.strip("/") else "", "AllowedOrigins": ",".join(options.origins),
        "ApiKeySha256": options.api_key_sha256, "JwtIssuer": options.jwt_issuer, "JwtAudience": ",".join(options.jwt_audience),
        "RequestsPerSecond": str(options.requests_per_second), "RequestBurst": str(options.request_burst), "SureFrom": f"{options.sure_from:g}",
        "LogDays": str(options.log_days),
    }
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]


def request(options: ApiOptions, key: str) -> dict:
    """The request that makes or changes the stack."""
    return {"StackName": options.stack, "TemplateBody": (ROOT / "api" / "template.yaml").read_text(encoding="utf-8"), "Parameters": parameters(options, key),
            "Capabilities": ["CAPABILITY_IAM"], "Tags": [{"Key": "slipway", "Value": options.endpoint}]}


def deploy(cloudformation: Any, s3: Any, options: ApiOptions) -> str:
    """Make the API, or change it to these options; the page's URL once it is there. DeploymentError."""
    zipped = code()
    key = code_key(options.stack, zipped)
    try:
        s3.put_object(Bucket=options.code_bucket, Key=key, Body=zipped)
        status = _status(cloudformation, options.stack)
        if status in REMOVED_FIRST:
            delete(cloudformation, options.stack)
            status = ""
        if not status:
            cloudformation.create_stack(**request(options, key))
            _wait(cloudformation, "stack_create_complete", options.stack)
        elif _changed(cloudformation, request(options, key)):
            _wait(cloudformation, "stack_update_complete", options.stack)
        return url(cloudformation, options.stack)
    except ClientError as error:
        raise DeploymentError(f"the API '{options.stack}' was not deployed: {error.response['Error']['Message']}") from error


def url(cloudformation: Any, stack: str) -> str:
    """The page's URL. DeploymentError where there is no such API."""
    found = _described(cloudformation, stack)
    outputs = {output["OutputKey"]: output["OutputValue"] for output in (found or {}).get("Outputs", ())}
    if "Url" not in outputs:
        raise DeploymentError(f"there is no API '{stack}' in this region; deploy it first")
    return outputs["Url"]


def delete(cloudformation: Any, stack: str) -> None:
    """Remove the API, with its logs; that it is not there is no error. Its code in the bucket, a few kilobytes, stays. DeploymentError."""
    try:
        cloudformation.delete_stack(StackName=stack)
        _wait(cloudformation, "stack_delete_complete", stack)
    except ClientError as error:
        raise DeploymentError(f"the API '{stack}' was not deleted: {error.response['Error']['Message']}") from error


def _changed(cloudformation: Any, wanted: dict) -> bool:
    """Ask for a change; False where there is nothing to change."""
    try:
        cloudformation.update_stack(**wanted)
        return True
    except ClientError as error:
        if "No updates are to be performed" in error.response["Error"]["Message"]:
            return False
        raise


def _described(cloudformation: Any, stack: str) -> dict | None:
    try:
        return cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return None
        raise


def _status(cloudformation: Any, stack: str) -> str:
    return (_described(cloudformation, stack) or {}).get("StackStatus", "")


def _wait(cloudformation: Any, what: str, stack: str) -> None:
    try:
        cloudformation.get_waiter(what).wait(StackName=stack, WaiterConfig=WAIT)
    except WaiterError as error:
        raise DeploymentError(f"the API '{stack}' failed: {_reason(cloudformation, stack)}") from error


def _reason(cloudformation: Any, stack: str) -> str:
    """What failed first, in CloudFormation's words; its events come newest first."""
    events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    failed = [event for event in events if event.get("ResourceStatus", "").endswith("_FAILED") and "cancelled" not in event.get("ResourceStatusReason", "")]
    return f"{failed[-1]['LogicalResourceId']}: {failed[-1].get('ResourceStatusReason', 'no reason is given')}" if failed else "CloudFormation gives no reason"
