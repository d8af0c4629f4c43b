"""python -m local_sagemaker.moto: moto's server of AWS's other services, closed to web pages.

moto itself lets every page of a browser on this machine read and change all of it. Here a request
must name the server by a loopback name, its address or an --allow-host, and must come from no
other page. Signatures are not checked: moto's own IAM would have to know each key.
"""

import argparse
import os
import sys

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import run_simple

from artifact.host_rule import HostRule
from artifact.listening import PortTaken, check_free
from local_sagemaker.guard import Guard, add_allow_host

DEFAULT_PORT = 5000


def main() -> int:
    """Serve until a signal ends the process: moto keeps nothing."""
    parser = argparse.ArgumentParser(
        prog="python -m local_sagemaker.moto",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"default {DEFAULT_PORT}")
    add_allow_host(parser)
    options = parser.parse_args()
    try:
        check_free(options.host, options.port, "--port")
    except PortTaken as error:
        print(f"moto: {error}", file=sys.stderr)
        return 1
    os.environ.setdefault("MOTO_PORT", str(options.port))  # moto's own answers name it
    rule = HostRule.of(options.host, options.allow_host, "--allow-host")
    app = Guard(DomainDispatcherApplication(create_backend_app), rule)
    run_simple(options.host, options.port, app, threaded=True, request_handler=MotoRequestHandler)
    return 0


if __name__ == "__main__":
    sys.exit(main())
