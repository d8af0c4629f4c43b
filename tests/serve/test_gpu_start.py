"""A server on a machine whose GPU cannot be used ends before it answers, whatever it serves."""

import os

import pytest

from artifact.engines.choice import open_engine
from artifact.engines.nvidia import DeviceError
from artifact.model import Description
from artifact.photos.preprocessing import Preprocessing
from runtime.ports import free_port
from serve import __main__ as starting
from serve.server import MODEL_UNUSABLE
from tests.support.planted_gpu import plant_nvidia_smi


@pytest.fixture
def old_gpu(tmp_path, monkeypatch):
    """A host with a T4 whose driver is older than any CUDA that we build."""
    programs = plant_nvidia_smi(tmp_path)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_a_multi_model_server_does_not_wait_for_its_first_model(monkeypatch, capsys, old_gpu):
    """SageMaker would call the endpoint in service, and its GPU would be paid for and idle."""
    started: list[object] = []
    monkeypatch.setattr(starting, "keep_in_one_folder", lambda: None)
    monkeypatch.setattr(starting, "Server", started.append)
    monkeypatch.setattr(starting, "log_to", lambda *stream, form: None)
    monkeypatch.setenv("SAGEMAKER_MULTI_MODEL", "true")
    monkeypatch.setenv("SAGEMAKER_BIND_TO_PORT", str(free_port()))
    assert starting.main() == MODEL_UNUSABLE
    assert started == []
    assert "serve: failed: the host's NVIDIA driver 470.57.02 is too old" in capsys.readouterr().err


def test_a_model_is_opened_on_no_processor_instead(tmp_path, old_gpu):
    """Also for a transform job, whose hosts have driver 470 where nothing else is asked for."""
    description = Description(("a", "b"), Preprocessing(), "resnet18")
    with pytest.raises(DeviceError, match="470.57.02 is too old"):
        open_engine(tmp_path / "none", description, device="auto")
