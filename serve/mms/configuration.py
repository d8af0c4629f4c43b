"""MMS's properties and command line, from serve's settings and the memory of the container."""

import os
import sys
from pathlib import Path

from serve.settings import ServingSettings, SettingsError

MODEL_NAME = "model"
HANDLER = "serve.mms.handler"
USER_HANDLER = "serve.mms.user_worker"  # around a user's own code
USER_LOAD_S = 300  # for a user's model_fn; MMS has one limit for this and for a prediction
HOME = Path("/opt/mms")  # filled by docker/serve-mms.Dockerfile
PROPERTIES_FILE = "mms.properties"
MIB = 1024 * 1024
HEAP_MIB = (96, 1024)  # lowest and highest
COPIES = 3  # that MMS makes of a body, whose pieces are not full
HEAD_BYTES = MIB  # at most, of what the gateway adds to the photos of a request
MAX_ANSWER = 64 * MIB
INFERENCE_SOCKET = "inference"
MANAGEMENT_SOCKET = "management"
MOST_PATH_BYTES = 107  # of a Unix socket; sockaddr_un has 108 with the zero at the end
LONGEST_SOCKET = ".mms.sock.00000"  # of MMS's own to its workers, in the same folder
JAVA_OPTIONS = (
    # collected early: by Java's own defaults the heap grows for thousands of requests
    "-Xms48m",
    "-Xmn24m",
    "-XX:MinHeapFreeRatio=10",
    "-XX:MaxHeapFreeRatio=30",
    "-Xss512k",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",  # MMS cannot be trusted after one
    # Netty's pools keep the memory of large bodies, until MMS has none left
    "-Dio.netty.allocator.type=unpooled",
)


def check_folder(folder: Path) -> None:
    """SettingsError for a folder in which a socket's path would be too long."""
    length = len(os.fsencode(folder / LONGEST_SOCKET))
    if length > MOST_PATH_BYTES:
        raise SettingsError(
            f"the folder for temporary files is too long for sockets: '{folder}'; "
            f"set TMPDIR to one with {length - MOST_PATH_BYTES} bytes less"
        )


def properties(
    settings: ServingSettings, folder: Path, own: Path | None = None, handler: str = HANDLER
) -> str:
    """MMS's configuration file.

    folder: a private one, for its sockets. own: MMS's folder of the single model. handler: the
    module that its workers load.
    """
    payload = int(settings.max_payload_mb * MIB)
    answer_s = max(1, round(settings.timeout_s))
    if handler == USER_HANDLER:
        answer_s = max(answer_s, USER_LOAD_S)
    values: dict[str, object] = {
        # nobody outside reaches MMS: its own API loads code from anywhere
        "inference_address": f"unix:{folder / INFERENCE_SOCKET}",
        "management_address": f"unix:{folder / MANAGEMENT_SOCKET}",
        "model_store": "/",
        "default_service_handler": handler,
        "default_workers_per_model": settings.workers,
        "default_response_timeout_seconds": answer_s,
        "unregister_model_timeout": 20,
        "max_request_size": payload + HEAD_BYTES,
        "max_response_size": MAX_ANSWER,
        "decode_input_request": "false",
        "number_of_gpu": 0,
    }
    if own:
        values["load_models"] = f"{MODEL_NAME}={own}"
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
        *JAVA_OPTIONS,
        # unpacked while the image is built, because a --tmpfs /tmp executes nothing
        f"-Djava.library.path={HOME / 'native'}",
        f"-Djava.io.tmpdir={folder}",
        f"-Dlog4j.configurationFile=file://{HOME / 'log4j2.xml'}",
        f"-Dmodel_server_home={packages}",
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


def body_bytes(memory: int) -> int:
    """Bytes of the bodies that may be within MMS at the same time."""
    return heap_mib(memory) * MIB // COPIES
