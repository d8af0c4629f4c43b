"""What the tests of hosting share: one local SageMaker with a good and a broken model."""

import pytest

from local_sagemaker import folders
from runtime.opt_ml import pack_model
from tests.support.sagemakers import BUCKET, ROLE, SERVE_IMAGE, local_sagemaker, moto


@pytest.fixture(scope="module", autouse=True)
def roots():
    """The folders that this process may use, as they were, behind a module that allows others."""
    before = list(folders._roots)
    yield
    folders.allow(before)


@pytest.fixture(scope="package")
def hosting(tmp_path_factory, colours):
    archive = tmp_path_factory.mktemp("archive") / "model.tar.gz"
    pack_model(colours.root, archive)
    with moto() as url, local_sagemaker(tmp_path_factory.mktemp("state"), url) as cloud:
        s3 = cloud.client("s3")
        sagemaker = cloud.client("sagemaker")
        for key in ("models/good.tar.gz", "many/one.tar.gz"):
            s3.upload_file(str(archive), BUCKET, key)
        s3.put_object(Bucket=BUCKET, Key="models/broken.tar.gz", Body=b"no archive")
        for name in ("good", "broken"):
            data = f"s3://{BUCKET}/models/{name}.tar.gz"
            sagemaker.create_model(
                ModelName=name,
                ExecutionRoleArn=ROLE,
                PrimaryContainer={"Image": SERVE_IMAGE, "ModelDataUrl": data},
            )
        yield cloud


@pytest.fixture(scope="module")
def sagemaker(hosting):
    return hosting.client("sagemaker")


@pytest.fixture(scope="module")
def runtime(hosting):
    return hosting.client("sagemaker-runtime")
