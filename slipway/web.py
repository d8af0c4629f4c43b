"""slipway web: the trained model with a page for people in front of it, on this machine.

The page's photos to try are the project's validation photos. Ctrl-C ends it.
"""

import sys

from slipway.serving import parsed, serve


def main(arguments: list[str] | None = None) -> int:
    """Serve the page until Ctrl-C; the exit code as that of `slipway serve`."""
    return serve(parsed("web", __doc__ or "", arguments), page=True)


if __name__ == "__main__":
    sys.exit(main())
