"""The server holds what its OpenAPI document says, whatever requests it gets."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers import photo, serving

pytestmark = pytest.mark.slow
# Two checks are off: random bytes are not a photo, so a request that the schema allows may be
# refused; and a PNG sent as image/jpeg is answered.
COMMAND = [
    str(Path(sys.executable).with_name("schemathesis")),
    "--config-file",
    os.devnull,
    "run",
    "--no-color",
    "--seed",
    "1",
    "--max-examples",
    "30",
    "--exclude-checks",
    "positive_data_acceptance,negative_data_rejection",
]


PAGE = ["--include-path-regex", "^/(classify|sample|labels|healthz|getyogaapp)?$"]  # what it adds


@pytest.mark.parametrize(
    "environment",
    [
        {},
        pytest.param({"SAGEMAKER_MULTI_MODEL": "true"}, marks=pytest.mark.verify),
        {"SLIPWAY_PAGE": "true"},
    ],
    ids=["single", "multi", "page"],
)
def test_generated_requests_find_no_server_error(colours, tmp_path, environment):
    with serving(colours.model, **environment) as server:
        done = subprocess.run(
            [
                *COMMAND,
                *(PAGE if "SLIPWAY_PAGE" in environment else []),
                f"http://127.0.0.1:{server.port}/openapi.json",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        output = done.stdout[-6000:] + done.stderr[-2000:]
        assert done.returncode == 0, output
        assert " passed" in done.stdout, output
        if not environment:
            assert server.label(photo("red")) == "red"
