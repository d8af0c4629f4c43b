"""The answer to --help of the servers, which take environment variables in place of options."""

import argparse
import sys

VARIABLES = """\
A server reads environment variables, not options:

  SLIPWAY_MODEL_DIR               folder of the model; /opt/ml/model
  SAGEMAKER_BIND_TO_PORT          port; 8080
  SLIPWAY_HOST                    address to listen on; 127.0.0.1
  SLIPWAY_PRECISION               auto, f32, bf16, int8; on a GPU f16, too
  SLIPWAY_DEVICE                  auto, cpu, cuda
  SAGEMAKER_MAX_PAYLOAD_IN_MB     largest body; 6
  SAGEMAKER_MULTI_MODEL           true: models are loaded by POST /models
  SLIPWAY_PAGE                    true: the page for people, too

README.md lists all of them, under "Environment variables". In a project's
folder, `slipway serve` sets them.
"""


def answer_help(program: str, description: str) -> None:
    """Print the help and end the program where --help is asked for.

    Other words are left alone: platforms start the server with words of their own.
    """
    parser = argparse.ArgumentParser(
        prog=program,
        description=f"{description.strip()}\n\n{VARIABLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if {"-h", "--help"} & set(sys.argv[1:]):
        parser.parse_args(["--help"])
