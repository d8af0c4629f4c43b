"""timm's weights: a package's, an image's, the hub's, a file's, and what is said without any."""

import hashlib
import shutil

import pytest
import safetensors.torch
import timm
import torch
from huggingface_hub import constants

from artifact.networks.network import build, own_preprocessing
from artifact.networks.timm_network import TimmNetwork
from artifact.photos.preprocessing import Preprocessing
from tests.support.hub_mirror import hub_mirror
from train.job import JobError
from train.model.timm_weights import kept_path
from train.model.weights import Source, load_weights
from train.model.wheel_weights import WHEELS, Wheel, WheelError, keep, read_wheel

LITE = "timm/tf_efficientnet_lite0"
TINY = "timm/test_vit"  # timm's own for tests, of 160 x 160 pixels
NAME = "tf_efficientnet_lite0.in1k"


@pytest.fixture(autouse=True)
def without_network(monkeypatch, tmp_path):
    """No hub, no download, no cache, whatever network the tests run in."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")


def first_values(network: torch.nn.Module) -> torch.Tensor:
    return network.get_parameter("backbone.conv_stem.weight")


def loaded(model: str, weights: str = "imagenet", side: int = 224, **options) -> Source:
    return load_weights(build(model, 3, (), side), model, weights, {}, **options)


def test_the_weights_of_the_package_need_no_network():
    network = build(LITE, 3)
    source = load_weights(network, LITE, "imagenet", {})
    assert source.words == f"timm's {NAME} (of a package)"
    assert source.licence == "apache-2.0"
    assert not source.head
    published = torch.load(WHEELS[NAME].path(), weights_only=True)  # type: ignore[arg-type]
    assert torch.equal(first_values(network), published["_conv_stem.weight"])
    sizes = Preprocessing(256, 224, "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert own_preprocessing(LITE) == sizes


def test_an_image_keeps_them_as_safetensors(tmp_path, monkeypatch):
    folder = tmp_path / "site" / "copied"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    wheel = WHEELS[NAME]
    shutil.copy(wheel.path(), folder / "w.pth")  # type: ignore[arg-type]
    monkeypatch.syspath_prepend(str(folder.parent))
    copied = Wheel("copied", "w.pth", wheel.sha256)
    monkeypatch.setitem(WHEELS, NAME, copied)
    wanted = build(LITE, 3)
    load_weights(wanted, LITE, "imagenet", {})
    keep(kept_path(NAME).parent)
    assert copied.path() is None  # twice would be 17 MB more
    network = build(LITE, 3)
    source = load_weights(network, LITE, "imagenet", {})
    assert source.words == f"timm's {NAME} (kept here)"
    assert torch.equal(first_values(network), first_values(wanted))
    with pytest.raises(SystemExit, match="the package copied is not installed"):
        keep(tmp_path / "again")


def test_another_file_in_the_package_is_refused(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"a": torch.ones(1)}, path)
    with pytest.raises(WheelError, match="has the SHA-256 .* and the published weights have 57934"):
        read_wheel(path, WHEELS[NAME].sha256, ["a"])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(WheelError, match="holds 1 tensors; timm's model has 2"):
        read_wheel(path, digest, ["a", "b"])


def test_without_a_network_a_sentence_names_the_weights_that_are_here():
    for model in ("resnet50", "timm/resnet18"):
        with pytest.raises(JobError) as caught:
            loaded(model)
        sentence = str(caught.value)
        assert f"take model={LITE}, whose ImageNet weights are installed here" in sentence
        assert f"WEIGHTS={model} when it is built" in sentence
        assert "\n" not in sentence


def test_the_hub_and_its_mirrors_are_asked(monkeypatch):
    """The real client, and timm's real code, against a server of this machine."""
    published = timm.create_model("test_vit")
    content = safetensors.torch.save(published.state_dict())
    with hub_mirror({"timm/test_vit.r160_in1k/model.safetensors": content}) as url:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", url)
        template = url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        network = build(TINY, 3, (), 160)
        source = load_weights(network, TINY, "imagenet", {})
        assert source.words == "timm's test_vit.r160_in1k (the hub)"
        assert torch.equal(
            network.get_parameter("backbone.pos_embed"), published.get_parameter("pos_embed")
        )
        with pytest.raises(JobError, match="weights of timm/test_resnet are neither at"):
            loaded("timm/test_resnet")
    # the mirror is gone: it is found so at once, and what was fetched is in the cache
    again = loaded(TINY, side=160)
    assert again.fingerprint == source.fingerprint
    assert not constants.HF_HUB_OFFLINE


@pytest.mark.parametrize("side", [160, 192])
def test_a_file_by_timms_names_or_by_our_own_fits_another_size(tmp_path, side):
    """The positions of its patches are interpolated, as timm does that."""
    torch.manual_seed(5)
    published = timm.create_model("test_vit", num_classes=3)
    torch.save(published.state_dict(), tmp_path / "timm.pth")
    network = build(TINY, 3, (), side)
    assert isinstance(network, TimmNetwork)
    source = load_weights(network, TINY, str(tmp_path / "timm.pth"), {})
    assert source.head  # of as many classes
    assert torch.equal(network.get_parameter("head.weight"), published.get_parameter("head.weight"))
    patches = (side // 16) ** 2
    assert network.get_parameter("backbone.pos_embed").shape[1] == patches + 1
    safetensors.torch.save_file(network.state_dict(), tmp_path / "ours.safetensors")
    other = build(TINY, 3, (), 160)
    assert load_weights(other, TINY, str(tmp_path / "ours.safetensors"), {}).head
    assert torch.equal(other.get_parameter("head.weight"), network.get_parameter("head.weight"))


def test_weights_of_another_model_are_refused(tmp_path):
    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "w.pth")
    with pytest.raises(JobError, match=r"does not fit model timm/test_vit: \d+ of \d+ tensors are"):
        loaded(TINY, str(tmp_path / "w.pth"), 160)


def test_the_licence_is_said_and_a_custom_one_warns(tmp_path, caplog):
    caplog.set_level("INFO")
    loaded(LITE)
    assert "licence: apache-2.0, of the weights timm's tf_efficientnet_lite0" in caplog.text
    name = "convnextv2_atto.fcmae_ft_in1k"
    kept_path(name).parent.mkdir(parents=True)
    state = timm.create_model("convnextv2_atto").state_dict()
    safetensors.torch.save_file(state, kept_path(name))
    source = loaded("timm/convnextv2_atto")
    assert source.licence == "cc-by-nc-4.0"
    [warning] = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "timm gives 'cc-by-nc-4.0' for the weights timm's convnextv2_atto" in warning.message
