"""python -m serve: answer /ping and /invocations for the model in /opt/ml/model, on port 8080."""

import artifact.host.starting  # noqa: F401  # before all else: it takes Ctrl-C

# isort: split
import dataclasses
import sys

from artifact.archives.unpack import artifact_folder
from artifact.engines.nvidia import use_gpu
from artifact.host.listening import PortTaken, check_free
from artifact.host.machine import name_user
from artifact.model import ArtifactError, read_description
from artifact.text.log_lines import log_to
from artifact.text.names import escape_output, printable
from serve.help import answer_help
from serve.metrics import share_between_workers
from serve.server import MODEL_UNUSABLE, Server
from serve.settings import PORT_OPTION, ServingSettings, SettingsError
from serve.temporary import keep_in_one_folder
from serve.user_code import say_ignored

USAGE = 2


def main() -> int:
    """Serve until SIGTERM. The exit code: 0, or USAGE or MODEL_UNUSABLE after one sentence."""
    escape_output()
    answer_help("serve", __doc__ or "")
    log_to(sys.stdout, form="%(asctime)s %(message)s")
    name_user()
    try:
        settings = ServingSettings.read()
        say_ignored()
        check_free(settings.host, settings.port, PORT_OPTION)
        keep_in_one_folder()
        if settings.multi_model:
            # Its models come later, and none could use a GPU that cannot be used.
            if settings.device == "auto":
                use_gpu()
        else:
            model = artifact_folder(settings.model, settings.archive_bounds)
            settings = dataclasses.replace(settings, model=model)
            read_description(settings.model)  # a wrong folder fails here, early, in one sentence
    except (SettingsError, PortTaken) as error:
        print(f"serve: {printable(error)}", file=sys.stderr)
        return USAGE
    except (ArtifactError, MemoryError) as error:
        print(f"serve: failed: {printable(error)}", file=sys.stderr)
        return MODEL_UNUSABLE
    if settings.workers > 1:
        share_between_workers()
    Server(settings).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
