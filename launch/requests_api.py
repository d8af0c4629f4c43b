"""CreateStack and UpdateStack of the page and API, pure functions of the recipe; the code's zip."""

import hashlib
import io
import re
import zipfile
from pathlib import Path

from launch.aws import AwsLocation, Request
from launch.errors import LaunchError
from launch.recipe import REPOSITORY, Recipe
from launch.requests_training import bucket, folder_uri, prefix, s3, s3_encryption, split_s3, tags

TEMPLATE = REPOSITORY / "web" / "aws" / "template.yaml"
# The files of the function, by folder. It needs nothing else but Lambda's own boto3.
FOLDERS = {
    "artifact": ("__init__.py", "saliency.py"),
    "artifact/photos": (
        "__init__.py",
        "foreign_files.py",
        "kinds.py",
        "metadata.py",
        "small_exif.py",
    ),
    "artifact/text": ("__init__.py", "json_text.py"),
    "web/aws": ("__init__.py", "handler.py", "endpoint.py"),
    "web": ("*.py", "page.html"),
}
ACCESS = ("open", "key", "jwt")
# The days that CloudWatch Logs accepts, up to a year.
LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 180, 365)
# Characters. The key's SHA-256 lies in the function's environment, so a short key could be guessed.
SHORTEST_KEY = 16
KEY_HELP = "such as one of `openssl rand -hex 24`"
# Zip files have no time before this one. A fixed time makes equal files an equal zip.
ZIP_TIME = (1980, 1, 1, 0, 0, 0)
VALIDATION_NAMES = ("validation", "valid", "val")


def stack_name(recipe: Recipe) -> str:
    """The stack's name. LaunchError where CloudFormation would not accept it."""
    name = recipe.sagemaker.api.name or f"slipway-{recipe.endpoint_name}"
    if not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9-]{0,127}", name):
        raise LaunchError(
            f"sagemaker.api.name is '{name}'; a stack's name has letters, digits and hyphens, "
            "begins with a letter, and has 128 at most"
        )
    return name


def code_location(recipe: Recipe, location: AwsLocation) -> tuple[str, str]:
    """Bucket and prefix, with a slash at its end, of the function's code."""
    bucket_name = recipe.sagemaker.api.code_bucket or bucket(recipe, location)
    return bucket_name, f"{prefix(recipe)}/api/"


def code() -> bytes:
    """The function's zip file. The same files give the same bytes, so its checksum can name it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for folder in FOLDERS:
            for file in code_files(folder):
                entry = zipfile.ZipInfo(f"{folder}/{file.name}", ZIP_TIME)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16  # Unix mode, in the upper 16 bits
                archive.writestr(entry, file.read_bytes())
    return buffer.getvalue()


def code_files(folder: str) -> list[Path]:
    """The function's files of one folder of the repository, by name."""
    found: set[Path] = set()
    for pattern in FOLDERS[folder]:
        found.update((REPOSITORY / folder).glob(pattern))
    return sorted(found)


def code_object(recipe: Recipe, location: AwsLocation, zipped: bytes) -> Request:
    """PutObject of the code, without its body; the key is a checksum of the contents."""
    code_bucket, below = code_location(recipe, location)
    return {
        "Bucket": code_bucket,
        "Key": f"{below}{hashlib.sha256(zipped).hexdigest()[:16]}.zip",
        "ContentLength": len(zipped),
        **s3_encryption(recipe.sagemaker.kms_key),
    }


def stack(recipe: Recipe, location: AwsLocation, zipped: bytes, api_key: str = "") -> Request:
    """CreateStack; UpdateStack takes the same fields.

    api_key: callers must send it where access is `key`. Only its SHA-256 goes to AWS.
    LaunchError for settings that do not fit together.
    """
    values = parameters(recipe, location, zipped, api_key)
    return {
        "StackName": stack_name(recipe),
        "TemplateBody": TEMPLATE.read_text(encoding="utf-8"),
        "Parameters": [
            {"ParameterKey": name, "ParameterValue": value} for name, value in values.items()
        ],
        "Capabilities": ["CAPABILITY_IAM"],
        "Tags": tags(recipe),
    }


def parameters(
    recipe: Recipe, location: AwsLocation, zipped: bytes, api_key: str = ""
) -> dict[str, str]:
    """The template's parameters by name. LaunchError for settings that do not fit together."""
    api = recipe.sagemaker.api
    _check_numbers(recipe)
    _check_access(recipe, api_key)
    _check_origins(recipe)
    samples_bucket, samples_prefix = split_s3(samples(recipe, location))
    samples_key = ""
    if samples_bucket:
        samples_key = samples_key_arn(recipe, location)
    api_key_sha256 = ""
    if api_key:
        api_key_sha256 = hashlib.sha256(api_key.encode()).hexdigest()
    code_at = code_object(recipe, location, zipped)
    return {
        "EndpointName": recipe.endpoint_name,
        # SageMaker writes an endpoint's ARN in small letters.
        "EndpointArnName": recipe.endpoint_name.lower(),
        "TargetModel": target_model(recipe),
        "CodeBucket": code_at["Bucket"],
        "CodeKey": code_at["Key"],
        "SamplesBucket": samples_bucket,
        "SamplesPrefix": samples_prefix,
        "SamplesKeyArn": samples_key,
        "AllowedOrigins": ",".join(api.origins),
        "ApiKeySha256": api_key_sha256,
        "JwtIssuer": api.jwt_issuer,
        "JwtAudience": ",".join(api.jwt_audience),
        "RequestsPerSecond": str(api.requests_per_second),
        "RequestBurst": str(api.request_burst),
        "SureFrom": f"{api.sure_from:g}",
        "LogDays": str(api.log_days),
    }


def target_model(recipe: Recipe) -> str:
    """The model's name on a multi-model endpoint; empty for other kinds.

    LaunchError for an asynchronous endpoint: it gives no answer to a request.
    """
    kind = recipe.sagemaker.endpoint.kind
    given = recipe.sagemaker.api.target_model
    if kind == "async":
        raise LaunchError(
            "an asynchronous endpoint writes its answers to S3, so no page can wait for them; "
            "set sagemaker.endpoint.kind to another"
        )
    if kind == "multi-model":
        # `launch api` fills in the newest one's name; this stands for it in `check`.
        return given or f"{recipe.slug}.tar.gz"
    if given:
        raise LaunchError(
            f"sagemaker.api.target_model is for multi-model endpoints, and this one is {kind}; "
            "leave it out"
        )
    return ""


def samples(recipe: Recipe, location: AwsLocation) -> str:
    """s3:// prefix of the sample photos, with a slash at its end; empty for none.

    `validation` stands for that channel's, in S3 after `upload`. LaunchError without it.
    """
    given = recipe.sagemaker.api.samples
    if given in ("", "none"):
        return ""
    found = given
    if given == "validation":
        found = validation_photos(recipe, location)
    if not found:
        raise LaunchError(
            "sagemaker.api.samples is 'validation', and the recipe has no such channel; "
            "name one in sagemaker.channels, or an s3:// prefix"
        )
    # Without a prefix the function could read the whole bucket.
    if not re.fullmatch(r"s3://[a-z0-9.-]{3,63}/[^*?$/][^*?$]*", found):
        raise LaunchError(
            f"the API's samples are '{found}'; "
            "set sagemaker.api.samples to s3://bucket/prefix/, validation or none"
        )
    return folder_uri(found)


def validation_photos(recipe: Recipe, location: AwsLocation) -> str:
    """s3:// prefix of the validation channel; empty where the recipe has none."""
    channels = recipe.sagemaker.channels
    for name in VALIDATION_NAMES:
        if name not in channels:
            continue
        if channels[name].startswith("s3://"):
            return channels[name]
        if channels[name]:
            return s3(recipe, location, "data", name)
        return ""
    return ""


def samples_key_arn(recipe: Recipe, location: AwsLocation) -> str:
    """ARN of the samples' encryption key; empty for none.

    LaunchError for an alias, because a role's policy cannot name it.
    """
    given = recipe.sagemaker.kms_key
    if "alias/" in given:
        raise LaunchError(
            f"sagemaker.kms_key is '{given}'; the API's function may read the samples by the "
            "key's own ID or ARN only: give that, or set sagemaker.api.samples to none"
        )
    if not given or given.startswith("arn:"):
        return given
    return location.arn("kms", f"key/{given}")


def _check_origins(recipe: Recipe) -> None:
    for origin in recipe.sagemaker.api.origins:
        if not re.fullmatch(r"https?://[a-z0-9.-]+(:\d+)?", origin):
            raise LaunchError(
                f"'{origin}' in sagemaker.api.origins is not a web origin; "
                "name it as https://example.org, without a path"
            )


def _check_numbers(recipe: Recipe) -> None:
    api = recipe.sagemaker.api
    rates = {"requests_per_second": api.requests_per_second, "request_burst": api.request_burst}
    for name, value in rates.items():
        if value < 1:
            raise LaunchError(f"sagemaker.api.{name} is {value}; it must be at least 1")
    if not 0 <= api.sure_from <= 1:
        raise LaunchError(
            f"sagemaker.api.sure_from is {api.sure_from:g}; a probability lies between 0 and 1"
        )
    if api.log_days not in LOG_DAYS:
        raise LaunchError(
            f"sagemaker.api.log_days is {api.log_days}; "
            f"CloudWatch keeps logs for {', '.join(map(str, LOG_DAYS))} days"
        )


def _check_access(recipe: Recipe, api_key: str) -> None:
    """LaunchError unless key, token and `access` agree: a closed API must never stand open."""
    api = recipe.sagemaker.api
    if api.access not in ACCESS:
        raise LaunchError(f"sagemaker.api.access is '{api.access}'; expected {', '.join(ACCESS)}")
    if api.access == "key":
        _check_key(api_key)
    elif api_key:
        raise LaunchError(
            f"SLIPWAY_API_KEY is set, but sagemaker.api.access is '{api.access}'; "
            "set it to key, or unset the variable"
        )
    if api.access == "jwt":
        if not api.jwt_issuer.startswith("https://") or not api.jwt_audience:
            raise LaunchError(
                "sagemaker.api.access is 'jwt'; set jwt_issuer to the https:// address of the "
                "tokens' issuer, and jwt_audience"
            )
    elif api.jwt_issuer or api.jwt_audience:
        raise LaunchError(
            "sagemaker.api.jwt_issuer and jwt_audience go with access jwt, "
            f"and it is '{api.access}'"
        )


def _check_key(api_key: str) -> None:
    """LaunchError for a key that is missing, short, or not a header's text."""
    if not api_key:
        raise LaunchError(
            "sagemaker.api.access is 'key'; "
            f"set SLIPWAY_API_KEY to the key that callers must send, {KEY_HELP}"
        )
    if len(api_key) < SHORTEST_KEY:
        raise LaunchError(
            f"SLIPWAY_API_KEY has {len(api_key)} characters; "
            f"take at least {SHORTEST_KEY}, {KEY_HELP}"
        )
    # Printable ASCII, without a space at either end.
    if not re.fullmatch(r"[!-~]([ -~]*[!-~])?", api_key):
        raise LaunchError(
            "SLIPWAY_API_KEY has characters that a header cannot carry; "
            f"take letters, digits and signs of ASCII, {KEY_HELP}"
        )
