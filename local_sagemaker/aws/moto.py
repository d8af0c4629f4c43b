"""python -m local_sagemaker.aws.moto: moto's server of AWS's other services, closed to web pages.

moto itself lets every page of a browser on this machine read and change all of it. Here a request
must name the server by a loopback name, its address or an --allow-host, and must come from no
other page. Signatures are not checked: moto's own IAM would have to know each key.
"""

import argparse
import os
import sys
from collections.abc import Iterable
from typing import Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from moto.s3.models import s3_backends
from werkzeug.serving import run_simple

from artifact.host.host_rule import HostRule
from artifact.host.listening import PortTaken, check_free
from local_sagemaker.access.guard import Guard, add_allow_host
from local_sagemaker.aws.identity import Identity
from recipes.sagemaker import SageMakerSettings

DEFAULT_PORT = 5000
# By header: the account that must own the request's bucket, or the bucket that it copies from.
OWNERS = ("HTTP_X_AMZ_EXPECTED_BUCKET_OWNER", "HTTP_X_AMZ_SOURCE_EXPECTED_BUCKET_OWNER")
DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


class BucketOwners:
    """A WSGI app that refuses, as S3 does and moto does not, a bucket of another account.

    app: the one behind it, moto's, in this process.
    """

    def __init__(self, app: Any) -> None:  # WSGI apps have no common type
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        named = (environ.get("PATH_INFO", ""), environ.get("HTTP_X_AMZ_COPY_SOURCE", ""))
        for header, path in zip(OWNERS, named, strict=True):
            bucket = path.lstrip("/").partition("/")[0]
            # Partition and account.
            owner = s3_backends.bucket_accounts.get(bucket)
            if header in environ and owner is not None and owner[1] != environ[header]:
                headers = [("Content-Type", "application/xml"), ("Connection", "close")]
                start_response("403 FORBIDDEN", headers)
                return [DENIED]
        answer: Iterable[bytes] = self._app(environ, start_response)
        return answer


def main() -> int:
    """Serve until a signal ends the process: moto keeps nothing."""
    parser = argparse.ArgumentParser(
        prog="python -m local_sagemaker.aws.moto",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"default {DEFAULT_PORT}")
    parser.add_argument(
        "--role",
        default=SageMakerSettings().role,
        help="name of the role that every caller has taken (default %(default)s)",
    )
    add_allow_host(parser)
    options = parser.parse_args()
    try:
        check_free(options.host, options.port, "--port")
    except PortTaken as error:
        print(f"moto: {error}", file=sys.stderr)
        return 1
    os.environ.setdefault("MOTO_PORT", str(options.port))  # moto's own answers name it
    rule = HostRule.of(options.host, options.allow_host, "--allow-host")
    moto = BucketOwners(DomainDispatcherApplication(create_backend_app))
    app = Guard(Identity(moto, options.role), rule)
    run_simple(options.host, options.port, app, threaded=True, request_handler=MotoRequestHandler)
    return 0


if __name__ == "__main__":
    sys.exit(main())
