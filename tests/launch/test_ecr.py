"""python -m launch.ecr against moto's ECR, and against scripted refusals."""

import pytest
from botocore.stub import Stubber

from launch.ecr import Ecr, main, repository_request
from launch.errors import code_of, sentence
from tests.support.registries import aws, no_credentials

pytestmark = pytest.mark.slow

HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


@pytest.mark.parametrize(
    "region, host",
    [
        ("eu-west-1", HOST),
        ("cn-north-1", "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "123456789012.dkr.ecr.us-gov-west-1.amazonaws.com"),
    ],
)
def test_the_registrys_host_follows_region_and_partition(monkeypatch, capsys, region, host):
    with aws(monkeypatch, region):
        assert main(["registry"]) == 0
    assert capsys.readouterr().out == f"{host}\n"


def test_repositories_are_made_only_if_missing(monkeypatch, capsys):
    with aws(monkeypatch):
        assert main(["repository", HOST, "one"]) == 0
        assert main(["repository", HOST, "one", "--immutable"]) == 0
        assert main(["repository", HOST, "two", "--immutable"]) == 0
        assert capsys.readouterr().out.split() == ["MUTABLE", "MUTABLE", "IMMUTABLE"]
        found = Ecr(HOST).client.describe_repositories()["repositories"]
        assert [
            (one["repositoryName"], one["imageScanningConfiguration"]["scanOnPush"])
            for one in found
        ] == [("one", True), ("two", True)]
        assert main(["digest", f"{HOST}/one:none"]) == 3
        assert main(["digest", f"{HOST}/three:none"]) == 3
        assert main(["password", HOST]) == 0
        assert main(["digest", "none"]) == 1


def test_without_the_permission_to_look_nothing_is_made(monkeypatch):
    no_credentials(monkeypatch)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    ecr = Ecr(HOST)
    message = "User: u is not authorized to perform: ecr:DescribeRepositories on resource: r"
    with Stubber(ecr.client) as answers:
        answers.add_client_error("describe_repositories", "AccessDeniedException", message)
        with pytest.raises(ecr.client.exceptions.ClientError) as refused:
            ecr.ensure("one", immutable=False)
    assert code_of(refused.value) == "AccessDeniedException"
    assert sentence(refused.value).startswith("you may not ecr:DescribeRepositories: ")
    with Stubber(ecr.client) as answers:
        answers.add_client_error("describe_repositories", "RepositoryNotFoundException")
        answers.add_response(
            "create_repository", {"repository": {}}, repository_request("one", "MUTABLE")
        )
        assert ecr.ensure("one", immutable=False) == "MUTABLE"
