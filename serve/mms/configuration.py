"""What MMS is told, its properties and its command line, from serve's settings and the memory there is."""

import sys
from pathlib import Path

from serve.inputs import ACCEPTED
from serve.settings import ServingSettings

MODEL_NAME = "model"
HANDLER = "serve.mms.handler"
HOME = Path("/opt/mms")  # what docker/serve-mms.Dockerfile puts there
PROPERTIES_FILE = "mms.properties"
MIB = 1024 * 1024
HEAP_MIB = (96, 1024)
QUEUE = (4, 100)  # requests that wait for a model's workers; 100 is MMS's own number


def properties(settings: ServingSettings, folder: Path, memory: int) -> str:
    """MMS's configuration file. folder: a private one, for its sockets; memory: bytes the container may use."""
    payload = int(settings.max_payload_mb * MIB)
    address = f"http://{settings.host}:{settings.port}"
    queue = heap_mib(memory) * MIB // 2 // max(payload, 1)
    values = {
        "inference_address": address,
        # SageMaker loads and unloads models by the same port; with one model nobody needs to, so it gets no port at all
        "management_address": address if settings.multi_model else f"unix:{folder}/management",
        "model_store": "/",
        "default_service_handler": HANDLER,
        "default_workers_per_model": settings.workers,
        "default_response_timeout_seconds": max(1, round(settings.timeout_s)),
        "unregister_model_timeout": 20,
        "max_request_size": payload,
        "max_response_size": max(8 * MIB, payload),
        "job_queue_size": min(max(queue, QUEUE[0]), QUEUE[1]),
        "decode_input_request": "false",
        "number_of_gpu": 0,
    }
    if not settings.multi_model:
        values["load_models"] = f"{MODEL_NAME}={settings.model.resolve()}"
    return "".join(f"{name}={value}\n" for name, value in values.items())


def command(settings: ServingSettings, folder: Path, memory: int, vmargs: str = "") -> list[str]:
    """The Java command that serves by the properties in folder. vmargs: of the user, which win over ours."""
    heap = heap_mib(memory)
    packages = (
        Path(sys.prefix)
        / "lib"
        / f"python{sys.version_info.major}.{sys.version_info.minor}"
        / "site-packages"
    )
    return [
        str(HOME / "java" / "bin" / "java"),
        f"-Xmx{heap}m",
        f"-XX:MaxDirectMemorySize={heap}m",
        "-Xss512k",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:-UsePerfData",
        "-XX:+ExitOnOutOfMemoryError",  # MMS after one is not to be trusted
        "-Dio.netty.allocator.type=unpooled",  # pools keep what large bodies once needed, until MMS has no memory left
        f"-Djava.library.path={HOME / 'native'}",  # unpacked at build time: a --tmpfs /tmp executes nothing
        f"-Djava.io.tmpdir={folder}",
        f"-Dlog4j.configurationFile=file://{HOME / 'log4j2.xml'}",
        f"-Dmodel_server_home={packages}",
        f"-Dslipway.max_payload={int(settings.max_payload_mb * MIB)}",
        f"-Dslipway.max_bodies={heap * MIB // 3}",  # each is copied, and comes in pieces that are not full
        f"-Dslipway.too_large={too_large(settings.max_payload_mb)}",
        f"-Dslipway.multi_model={str(settings.multi_model).lower()}",
        *vmargs.split(),
        "-cp",
        f"{HOME / 'slipway.jar'}:{packages / 'mms' / 'frontend' / 'model-server.jar'}",
        "slipway.Server",
        "--python",
        str(HOME / "python"),
        "-f",
        str(folder / PROPERTIES_FILE),
    ]


def heap_mib(memory: int) -> int:
    """MiB for Java's heap, and as many for its buffers: a sixth of the memory, for the models need the most of it."""
    return min(max(memory // 6 // MIB, HEAP_MIB[0]), HEAP_MIB[1])


def too_large(max_payload_mb: float) -> str:
    """Why a body is refused with 413, as slipway-serve says it."""
    return f"the body is larger than {max_payload_mb:g} MB; send a smaller photo, one of {', '.join(ACCEPTED)}"
