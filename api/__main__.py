"""python -m api: put the public page and API in front of a SageMaker endpoint, show its URL, or remove it."""

import argparse
import hashlib
import os
import sys

from botocore.exceptions import BotoCoreError, ClientError

from api.deployment import ApiOptions, DeploymentError, delete, deploy, url

FAILED = 1


def main(arguments: list[str] | None = None) -> int:
    """Do one of deploy, url and delete with the account and region that boto3 finds; the exit code says whether it worked."""
    options = parser().parse_args(arguments)
    try:
        print(act(options))
        return 0
    except (DeploymentError, BotoCoreError, ClientError) as error:  # the latter two: no credentials, or not these
        print(f"api: {error}", file=sys.stderr)
        return FAILED


def act(options: argparse.Namespace) -> str:
    """What to print once it is done. DeploymentError."""
    import boto3

    session = boto3.Session(region_name=options.region or os.environ.get("AWS_REGION"))  # boto3 itself reads AWS_DEFAULT_REGION alone
    if not session.region_name:
        raise DeploymentError("no region is set; give --region, or set AWS_REGION")
    cloudformation = session.client("cloudformation")
    if options.command == "delete":
        delete(cloudformation, options.stack)
        return f"the API '{options.stack}' is gone"
    if options.command == "url":
        return url(cloudformation, options.stack)
    key = os.environ.get("SLIPWAY_API_KEY", "")
    wanted = ApiOptions(options.stack, options.endpoint, options.code_bucket, options.samples, tuple(options.origin),
                        hashlib.sha256(key.encode()).hexdigest() if key else "", options.jwt_issuer, tuple(options.jwt_audience),
                        options.requests_per_second, options.request_burst, options.sure_from, options.log_days)
    return deploy(cloudformation, session.client("s3"), wanted)


def parser() -> argparse.ArgumentParser:
    """The command line; the API key is no option, since others see those, but the environment variable SLIPWAY_API_KEY."""
    top = argparse.ArgumentParser(prog="python -m api", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    for name, text in (("deploy", "make the API, or change it"), ("url", "show its URL"), ("delete", "remove it")):
        command = commands.add_parser(name, help=text)
        command.add_argument("stack", help="name of the API")
        command.add_argument("--region", help="AWS region; boto3's own by default")
        if name == "deploy":
            command.add_argument("--endpoint", required=True, help="name of the SageMaker endpoint")
            command.add_argument("--code-bucket", required=True, help="bucket for the function's code")
            command.add_argument("--samples", default="", help="s3://bucket/prefix/ of validation photos, one folder a label")
            command.add_argument("--origin", action="append", default=[], help="web origin whose pages may call the API; may be given again")
            command.add_argument("--jwt-issuer", default="", help="issuer of the tokens that callers must send")
            command.add_argument("--jwt-audience", action="append", default=[], help="audience of these tokens; may be given again")
            command.add_argument("--requests-per-second", type=int, default=ApiOptions.requests_per_second, help="above which callers get 429")
            command.add_argument("--request-burst", type=int, default=ApiOptions.request_burst, help="at once")
            command.add_argument("--sure-from", type=float, default=ApiOptions.sure_from, help="least probability that the page calls sure")
            command.add_argument("--log-days", type=int, default=ApiOptions.log_days, help="for which logs are kept")
    return top


if __name__ == "__main__":
    sys.exit(main())
