"""SDK v3's ModelBuilder with LOCAL_CONTAINER: an image that `make push` put into a registry."""

import json
import os
import shutil
from pathlib import Path

from rows import ROLE, photo, row, tell
from sagemaker.core.deserializers import JSONDeserializer
from sagemaker.core.serializers import IdentitySerializer
from sagemaker.serve.builder.schema_builder import SchemaBuilder
from sagemaker.serve.mode.function_pointers import Mode
from sagemaker.serve.model_builder import ModelBuilder
from sagemaker.serve.utils.types import ModelServer

# With MMS the SDK mounts <model_path>/code as /opt/ml/model, and starts `serve`.
MODEL = Path("local").absolute()
# Debian's Python 3.11 has no filters for tar archives yet.
shutil.unpack_archive("model.tar.gz", MODEL / "code")

with row("ModelBuilder.build, deploy_local, LocalEndpoint.invoke, Mode.LOCAL_CONTAINER"):
    builder = ModelBuilder(
        image_uri=f"{os.environ['REGISTRY']}/slipway-serve:latest",
        model_path=str(MODEL),
        model_server=ModelServer.MMS,
        mode=Mode.LOCAL_CONTAINER,
        schema_builder=SchemaBuilder(sample_input=photo(), sample_output={"predictions": []}),
        role_arn=ROLE,
    )
    builder.build(model_name="local")
    builder._serializer = IdentitySerializer("image/jpeg")
    builder._deserializer = JSONDeserializer()
    endpoint = builder.deploy_local(endpoint_name="local")
    [found] = json.loads(endpoint.invoke(body=photo()).body.read())
    assert found["predictions"][0]["label"] == "red"
    endpoint.delete()
    builder.modes[str(Mode.LOCAL_CONTAINER)].destroy_server()

tell()
