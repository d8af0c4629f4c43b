"""MMS's properties and command line, from serve's settings and the memory of the container."""

import sys
from pathlib import Path

from serve.inputs import ACCEPTED
from serve.settings import ServingSettings

MODEL_NAME = "model"
HANDLER = "serve.mms.handler"
HOME = Path("/opt/mms")  # filled by docker/serve-mms.Dockerfile
PROPERTIES_FILE = "mms.properties"
MIB = 1024 * 1024
HEAP_MIB = (96, 1024)  # lowest and highest
QUEUE = (4, 100)  # requests that wait for a model's workers; 100 is MMS's own number


def properties(settings: ServingSettings, folder: Path, memory: int) -> str:
    """MMS's configuration file.

    folder: a private one, for its sockets. memory: bytes that the container may use.
    """
    payload = int(settings.max_payload_mb * MIB)
    address = f"http://{settings.host}:{settings.port}"
    # half of the heap is for bodies that wait
    queue = heap_mib(memory) * MIB // 2 // max(payload, 1)
    values: dict[str, object] = {
        "inference_address": address,
        "management_address": f"unix:{folder}/management",
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
    if settings.multi_model:
        # SageMaker loads and unloads models by the same port; a single model needs no such port
        values["management_address"] = address
    else:
        values["load_models"] = f"{MODEL_NAME}={settings.model.resolve()}"
    return "".join(f"{name}={value}\n" for name, value in values.items())


def command(settings: ServingSettings, folder: Path, memory: int, vmargs: str = "") -> list[str]:
    """The Java command that serves by the properties in a folder.

    vmargs: the user's, which win over ours.
    """
    heap = heap_mib(memory)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = Path(sys.prefix) / "lib" / version / "site-packages"
    return [
        str(HOME / "java" / "bin" / "java"),
        f"-Xmx{heap}m",
        f"-XX:MaxDirectMemorySize={heap}m",
        "-Xss512k",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:-UsePerfData",
        "-XX:+ExitOnOutOfMemoryError",  # MMS cannot be trusted after one
        # Netty's pools keep the memory of large bodies, until MMS has none left
        "-Dio.netty.allocator.type=unpooled",
        # unpacked while the image is built, because a --tmpfs /tmp executes nothing
        f"-Djava.library.path={HOME / 'native'}",
        f"-Djava.io.tmpdir={folder}",
        f"-Dlog4j.configurationFile=file://{HOME / 'log4j2.xml'}",
        f"-Dmodel_server_home={packages}",
        f"-Dslipway.max_payload={int(settings.max_payload_mb * MIB)}",
        # a third of the heap: MMS copies each body, and its pieces are not full
        f"-Dslipway.max_bodies={heap * MIB // 3}",
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
    """MiB for Java's heap, and as many for its buffers: a sixth of the memory.

    The models need most of it.
    """
    return min(max(memory // 6 // MIB, HEAP_MIB[0]), HEAP_MIB[1])


def too_large(max_payload_mb: float) -> str:
    """The sentence of a 413, the same as slipway-serve's; the limit in MiB."""
    return (
        f"the body is larger than {max_payload_mb:g} MB; "
        f"send a smaller photo, one of {', '.join(ACCEPTED)}"
    )
