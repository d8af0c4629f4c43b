"""What MMS is told: its command line and its properties, from SageMaker's variables and the container's memory.

Which variables there are and what they mean is sagemaker-inference's `Environment`; sizes of memory are ours.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from serve.settings import Settings, SettingsError, number

MODEL_NAME = "model"
HANDLER = "serve.mms.handler"
HOME = Path("/opt/mms")  # what docker/serve-mms.Dockerfile puts there
MIB = 1024 * 1024
HEAP_MIB = (96, 1024)
QUEUE = (4, 100)  # requests that wait for a model's workers; MMS's own limit is 100


@dataclass(frozen=True)
class MMSSettings:
    """serve's settings and MMS's own. Times in seconds."""

    serve: Settings
    multi_model: bool = False
    workers: int = 1  # the engine of one uses all cores
    timeout_s: int = 60  # as long as SageMaker waits for an answer
    vmargs: str = ""

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> "MMSSettings":
        """Settings from environment variables. SettingsError for a value that does not parse."""
        multi_model = environment.get("SAGEMAKER_MULTI_MODEL", "").strip().lower()
        if multi_model not in ("", "true", "false"):
            raise SettingsError(f"SAGEMAKER_MULTI_MODEL must be true or false, found '{multi_model}'")
        timeout_s = number(environment, "SAGEMAKER_MODEL_SERVER_TIMEOUT", cls.timeout_s, 1, 86400)
        return cls(
            serve=Settings.read(environment),
            multi_model=multi_model == "true",
            workers=number(environment, "SAGEMAKER_MODEL_SERVER_WORKERS", cls.workers, 1, 256),
            timeout_s=number(environment, "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS", timeout_s, 1, 86400),
            vmargs=environment.get("SAGEMAKER_MODEL_SERVER_VMARGS", ""),
        )

    def properties(self, folder: Path, memory: int) -> str:
        """MMS's configuration file. folder: a private one, for its sockets; memory: bytes the container may use."""
        payload = int(self.serve.max_payload_mb * MIB)
        address = f"http://{self.serve.host}:{self.serve.port}"
        values = {
            "inference_address": address,
            # SageMaker loads and unloads models by the same port; with one model nobody needs to
            "management_address": address if self.multi_model else f"unix:{folder}/management",
            "model_store": "/",
            "default_service_handler": HANDLER,
            "default_workers_per_model": self.workers,
            "default_response_timeout_seconds": self.timeout_s,
            "unregister_model_timeout": 20,
            # above our own limit, for MMS refuses with 413 and not a word why; the handler says it
            "max_request_size": 2 * payload,
            "max_response_size": max(8 * MIB, 2 * payload),
            "job_queue_size": min(max(heap_mib(memory) * MIB // 2 // max(payload, 1), QUEUE[0]), QUEUE[1]),
            "decode_input_request": "false",
            "number_of_gpu": 0,
        }
        if not self.multi_model:
            values["load_models"] = f"{MODEL_NAME}={self.serve.model.resolve()}"
        return "".join(f"{name}={value}\n" for name, value in values.items())

    def command(self, folder: Path, memory: int) -> list[str]:
        """The Java command that serves by the properties in folder/mms.properties."""
        heap = heap_mib(memory)
        frontend = Path(sys.prefix) / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
        return [
            str(HOME / "java" / "bin" / "java"),
            f"-Xmx{heap}m", f"-XX:MaxDirectMemorySize={heap}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xss512k",
            # a heap that is full now is not one that is full for ever, but a JVM after it is not to be trusted
            "-XX:+ExitOnOutOfMemoryError", "-XX:-UsePerfData",
            # pooled buffers of large bodies would be kept for ever, and one image after the other leaves MMS without
            "-Dio.netty.allocator.type=unpooled",
            f"-Djava.library.path={HOME / 'native'}",  # unpacked at build time: a --tmpfs /tmp executes nothing
            f"-Djava.io.tmpdir={folder}",
            f"-Dlog4j.configurationFile=file://{HOME / 'log4j2.xml'}",
            f"-Dmodel_server_home={frontend}",
            *self.vmargs.split(),
            "-cp", f"{HOME / 'slipway.jar'}:{frontend / 'mms' / 'frontend' / 'model-server.jar'}",
            "slipway.Server", "--python", str(HOME / "python"), "-f", str(folder / "mms.properties"),
        ]


def heap_mib(memory: int) -> int:
    """MiB for Java's heap, and as many for its buffers: an eighth of the memory, for the models need the most of it."""
    return min(max(memory // 8 // MIB, HEAP_MIB[0]), HEAP_MIB[1])
