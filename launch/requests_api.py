"""The stack of the page and API in front of an endpoint: CreateStack and UpdateStack as a pure function of the recipe, and the function's code."""

import hashlib
import io
import re
import zipfile

from launch.aws import AwsLocation
from launch.errors import LaunchError
from launch.recipe import REPOSITORY, Recipe
from launch.requests_training import bucket, prefix, s3, tags

TEMPLATE = REPOSITORY / "web" / "aws" / "template.yaml"
FOLDERS = {"web/aws": ("__init__.py", "handler.py", "endpoint.py"), "web": ("*.py", "page.html")}
ACCESS = ("open", "key", "jwt")
LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 180, 365)
SHORTEST_KEY = (
    16  # its SHA-256 lies in the function's environment: a short one could be guessed from that
)
KEY_HELP = "such as one of `openssl rand -hex 24`"


def stack_name(recipe: Recipe) -> str:
    """The stack's name. LaunchError for what CloudFormation does not take as one."""
    name = recipe.settings.api.name or f"slipway-{recipe.endpoint_name}"
    if not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9-]{0,127}", name):
        raise LaunchError(
            f"sagemaker.api.name is '{name}'; a stack's name has letters, digits and hyphens, begins with a letter, and has 128 at most"
        )
    return name


def code_location(recipe: Recipe, location: AwsLocation) -> tuple[str, str]:
    """Bucket and prefix, with a slash at its end, of the function's code."""
    return recipe.settings.api.code_bucket or bucket(recipe, location), f"{prefix(recipe)}/api/"


def code() -> bytes:
    """The function's zip file: the same bytes for the same files, so that its name tells whether anything changed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for folder, patterns in FOLDERS.items():
            for file in sorted(
                {file for pattern in patterns for file in (REPOSITORY / folder).glob(pattern)}
            ):
                entry = zipfile.ZipInfo(f"{folder}/{file.name}", (1980, 1, 1, 0, 0, 0))
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                archive.writestr(entry, file.read_bytes())
    return buffer.getvalue()


def code_object(recipe: Recipe, location: AwsLocation, zipped: bytes) -> dict:
    """PutObject of the code, but for the body; its key is named after its contents."""
    code_bucket, below = code_location(recipe, location)
    kms_key = recipe.settings.kms_key
    return {
        "Bucket": code_bucket,
        "Key": f"{below}{hashlib.sha256(zipped).hexdigest()[:16]}.zip",
        "ContentLength": len(zipped),
        **({"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}),
    }


def stack(recipe: Recipe, location: AwsLocation, zipped: bytes, api_key: str = "") -> dict:
    """CreateStack, which is UpdateStack, too. api_key: what callers must send where access is `key`; its SHA-256 alone goes to AWS.

    LaunchError for settings that cannot be meant.
    """
    return {
        "StackName": stack_name(recipe),
        "TemplateBody": TEMPLATE.read_text(encoding="utf-8"),
        "Parameters": [
            {"ParameterKey": name, "ParameterValue": value}
            for name, value in parameters(recipe, location, zipped, api_key).items()
        ],
        "Capabilities": ["CAPABILITY_IAM"],
        "Tags": tags(recipe),
    }


def parameters(
    recipe: Recipe, location: AwsLocation, zipped: bytes, api_key: str = ""
) -> dict[str, str]:
    """The template's parameters by name. LaunchError."""
    api, endpoint = recipe.settings.api, recipe.endpoint_name
    _numbers_fit(recipe)
    _access_fits(recipe, api_key)
    samples_bucket, _, samples_prefix = (
        samples(recipe, location).removeprefix("s3://").partition("/")
    )
    code_at = code_object(recipe, location, zipped)
    return {
        "EndpointName": endpoint,
        "EndpointArnName": endpoint.lower(),
        "TargetModel": target_model(recipe),
        "CodeBucket": code_at["Bucket"],
        "CodeKey": code_at["Key"],
        "SamplesBucket": samples_bucket,
        "SamplesPrefix": samples_prefix,
        "SamplesKeyArn": samples_key(recipe, location) if samples_bucket else "",
        "AllowedOrigins": ",".join(_origins(recipe)),
        "ApiKeySha256": hashlib.sha256(api_key.encode()).hexdigest() if api_key else "",
        "JwtIssuer": api.jwt_issuer,
        "JwtAudience": ",".join(api.jwt_audience),
        "RequestsPerSecond": str(api.requests_per_second),
        "RequestBurst": str(api.request_burst),
        "SureFrom": f"{api.sure_from:g}",
        "LogDays": str(api.log_days),
    }


def target_model(recipe: Recipe) -> str:
    """The model that a multi-model endpoint is asked for; empty for other kinds. LaunchError for an asynchronous endpoint, which answers nobody."""
    kind, given = recipe.settings.endpoint.kind, recipe.settings.api.target_model
    if kind == "async":
        raise LaunchError(
            "an asynchronous endpoint writes its answers to S3, so no page can wait for them; set sagemaker.endpoint.kind to another"
        )
    if given and kind != "multi-model":
        raise LaunchError(
            f"sagemaker.api.target_model is for multi-model endpoints, and this one is {kind}; leave it out"
        )
    return (given or f"{recipe.slug}.tar.gz") if kind == "multi-model" else ""


def samples(recipe: Recipe, location: AwsLocation) -> str:
    """s3:// prefix of the sample photos, with a slash at its end: what the recipe says, else where `upload` puts the validation photos; empty for none."""
    given = recipe.settings.api.samples
    if given == "none":
        return ""
    if not given:
        channel = next(
            (name for name in ("validation", "valid", "val") if name in recipe.settings.channels),
            "",
        )
        folder = recipe.settings.channels.get(channel, "")
        given = (
            folder
            if folder.startswith("s3://")
            else s3(recipe, location, "data", channel)
            if folder
            else ""
        )
    if given and not re.fullmatch(r"s3://[a-z0-9.-]{3,63}/[^*?$/][^*?$]*", given):
        # a whole bucket would be open to the function
        raise LaunchError(
            f"the API's samples are '{given}'; set sagemaker.api.samples to s3://bucket/prefix/, or none"
        )
    return f"{given.rstrip('/')}/" if given else ""


def samples_key(recipe: Recipe, location: AwsLocation) -> str:
    """ARN of the key that the samples are encrypted with; empty for none. LaunchError for an alias, which a role's policy cannot name."""
    given = recipe.settings.kms_key
    if "alias/" in given:
        raise LaunchError(
            f"sagemaker.kms_key is '{given}'; the API's function may read the samples by the key's own ID or ARN only: give that, "
            "or set sagemaker.api.samples to none"
        )
    return given if not given or given.startswith("arn:") else location.arn("kms", f"key/{given}")


def _origins(recipe: Recipe) -> tuple[str, ...]:
    for origin in recipe.settings.api.origins:
        if not re.fullmatch(r"https?://[a-z0-9.-]+(:\d+)?", origin):
            raise LaunchError(
                f"'{origin}' in sagemaker.api.origins is no web origin; name it as https://example.org, without a path"
            )
    return recipe.settings.api.origins


def _numbers_fit(recipe: Recipe) -> None:
    api = recipe.settings.api
    for name, value in (
        ("requests_per_second", api.requests_per_second),
        ("request_burst", api.request_burst),
    ):
        if value < 1:
            raise LaunchError(f"sagemaker.api.{name} is {value}; it must be at least 1")
    if not 0 <= api.sure_from <= 1:
        raise LaunchError(
            f"sagemaker.api.sure_from is {api.sure_from:g}; a probability lies between 0 and 1"
        )
    if api.log_days not in LOG_DAYS:
        raise LaunchError(
            f"sagemaker.api.log_days is {api.log_days}; CloudWatch keeps logs for {', '.join(map(str, LOG_DAYS))} days"
        )


def _access_fits(recipe: Recipe, api_key: str) -> None:
    """LaunchError unless key, token and `access` say the same: an API that was to be closed must not stand open."""
    api = recipe.settings.api
    if api.access not in ACCESS:
        raise LaunchError(f"sagemaker.api.access is '{api.access}'; expected {', '.join(ACCESS)}")
    if api_key and api.access != "key":
        raise LaunchError(
            f"SLIPWAY_API_KEY is set, but sagemaker.api.access is '{api.access}'; set it to key, or unset the variable"
        )
    if api.access == "key" and not api_key:
        raise LaunchError(
            f"sagemaker.api.access is 'key'; set SLIPWAY_API_KEY to what callers shall send, {KEY_HELP}"
        )
    if api_key and len(api_key) < SHORTEST_KEY:
        raise LaunchError(
            f"SLIPWAY_API_KEY has {len(api_key)} characters; take at least {SHORTEST_KEY}, {KEY_HELP}"
        )
    if api_key and not re.fullmatch(r"[!-~]([ -~]*[!-~])?", api_key):
        raise LaunchError(
            f"SLIPWAY_API_KEY holds what a header cannot carry; take letters, digits and signs of ASCII, {KEY_HELP}"
        )
    if api.access != "jwt" and (api.jwt_issuer or api.jwt_audience):
        raise LaunchError(
            f"sagemaker.api.jwt_issuer and jwt_audience go with access jwt, and it is '{api.access}'"
        )
    if api.access == "jwt" and not (api.jwt_issuer.startswith("https://") and api.jwt_audience):
        raise LaunchError(
            "sagemaker.api.access is 'jwt'; set jwt_issuer to the https:// address of the tokens' issuer, and jwt_audience"
        )
