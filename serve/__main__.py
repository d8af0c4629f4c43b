"""python -m serve: answer /ping and /invocations for the model in /opt/ml/model, on port 8080."""

import logging
import sys

from artifact.model import ArtifactError, read_description
from serve.server import MODEL_UNUSABLE, Server
from serve.settings import Settings, SettingsError

USAGE = 2


def main() -> int:
    """Serve until SIGTERM; the exit code says why not."""
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(asctime)s %(message)s")
    try:
        settings = Settings.read()
        read_description(settings.model)  # a wrong folder is told at once, in one sentence
    except SettingsError as error:
        print(f"serve: {error}", file=sys.stderr)
        return USAGE
    except ArtifactError as error:
        print(f"serve: failed: {error}", file=sys.stderr)
        return MODEL_UNUSABLE
    Server(settings).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
