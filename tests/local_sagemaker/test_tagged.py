"""GetResources of local SageMaker: resources by their tags, as `launch status --all` asks."""

import pytest

from local_sagemaker import tags
from local_sagemaker.aws import tagged
from local_sagemaker.platform import Platform
from runtime.container_engine import choose_container_engine

ARN = "arn:aws:sagemaker:eu-west-1:000000000000:"


@pytest.fixture
def platform(tmp_path):
    """Three resources; the second has another recipe's tag, the third another region."""
    platform = Platform(tmp_path / "state", choose_container_engine("process"))
    for arn, recipe in (
        (f"{ARN}endpoint/a", "mine"),
        (f"{ARN}model/b", "other"),
        ("arn:aws:sagemaker:us-east-1:000000000000:model/c", "mine"),
    ):
        given = [{"Key": "slipway:recipe", "Value": recipe}, {"Key": "team", "Value": "x"}]
        tags.set_all(platform, arn, given)
    return platform


def found(
    platform: Platform, *filters: dict[str, object], types: tuple[str, ...] = ()
) -> list[str]:
    """The ARNs in eu-west-1 that have the tags and are of the types."""
    request = {"TagFilters": list(filters), "ResourceTypeFilters": list(types)}
    answer = tagged.found(platform, request, "eu-west-1")
    assert answer["PaginationToken"] == ""
    return sorted(entry["ResourceARN"] for entry in answer["ResourceTagMappingList"])


MINE: dict[str, object] = {"Key": "slipway:recipe", "Values": ["mine"]}


def test_resources_are_found_by_tag_type_and_region(platform):
    assert found(platform) == [f"{ARN}endpoint/a", f"{ARN}model/b"]
    assert found(platform, MINE) == [f"{ARN}endpoint/a"]
    assert found(platform, {"Key": "team"}) == [f"{ARN}endpoint/a", f"{ARN}model/b"]
    assert found(platform, MINE, {"Key": "team", "Values": ["y"]}) == []
    assert found(platform, {"Key": "absent"}) == []
    everything = ("sagemaker", "cloudformation:stack")
    assert found(platform, MINE, types=everything) == [f"{ARN}endpoint/a"]
    assert found(platform, types=("sagemaker:model",)) == [f"{ARN}model/b"]
    assert found(platform, types=("cloudformation:stack",)) == []


def test_a_deleted_resource_is_not_found(platform):
    tags.forget(platform, f"{ARN}endpoint/a")
    assert found(platform, MINE) == []
