"""The modules that a server loads before it opens an engine."""

import subprocess
import sys

import pytest

from tests.support.jobs import REPOSITORY

# Engines load torch or OpenVINO when they are opened. The image of multi-model-server has no Flask,
# and no web/.
ABSENT = {
    "serve.app": {"torch", "openvino", "boto3", "botocore", "opentelemetry"},
    "serve.factory": {"torch", "openvino", "boto3", "botocore", "opentelemetry"},
    "serve.mms.transformer": {"torch", "openvino", "boto3", "botocore", "flask", "web"},
    "serve.mms.configuration": {"torch", "openvino", "boto3", "botocore", "flask", "web"},
}


@pytest.mark.parametrize("module", ABSENT)
def test_a_module_loads_only_its_own(module):
    done = subprocess.run(
        [sys.executable, "-c", f"import {module}, sys; print(*sys.modules)"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ABSENT[module] & set(done.stdout.split()) == set()
