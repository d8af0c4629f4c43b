"""The images' entrypoint: it becomes the command, which is then PID 1 and gets SIGTERM.

SageMaker starts `IMAGE train` or `IMAGE serve`; with ContainerArguments `IMAGE --any arguments`.
It knows nothing of the commands.
"""

import os
import signal
import sys


def main() -> None:
    arguments = sys.argv[1:]
    if not arguments or arguments[0].startswith("-"):
        arguments = [os.environ["SLIPWAY_COMMAND"], *arguments]
    # `train` handles SIGTERM once it is loaded; PID 1 would lose a signal that comes before
    if arguments[0] == "train":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        os.execvp(arguments[0], arguments)
    except OSError as error:
        own = os.environ["SLIPWAY_COMMAND"]
        sys.exit(
            f'entrypoint: cannot run "{arguments[0]}": {error.strerror}; '
            f'this image\'s own command is "{own}"'
        )


if __name__ == "__main__":
    main()
