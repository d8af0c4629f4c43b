"""The images' entrypoint: picks the command and becomes it, so that the final program is PID 1 and gets SIGTERM.

SageMaker starts `IMAGE train` or `IMAGE serve`, or, with ContainerArguments, `IMAGE --any arguments`.
It knows nothing of what the commands do.
"""

import os
import signal
import sys


def main():
    arguments = sys.argv[1:]
    if not arguments or arguments[0].startswith("-"):
        arguments = [os.environ["SLIPWAY_COMMAND"], *arguments]
    if (
        arguments[0] == "train"
    ):  # it takes SIGTERM once it is loaded; PID 1 would lose one that comes before
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        os.execvp(arguments[0], arguments)
    except OSError as error:
        own = os.environ["SLIPWAY_COMMAND"]
        sys.exit(
            f'entrypoint: cannot run "{arguments[0]}": {error.strerror}; this image\'s own command is "{own}"'
        )


if __name__ == "__main__":
    main()
