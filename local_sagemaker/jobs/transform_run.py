"""One transform job as it runs: every object of the input through the model's container."""

import http.client
import logging
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from artifact.text.json_text import read_json
from local_sagemaker import objects
from local_sagemaker.hosting.calls import ask
from local_sagemaker.hosting.variants import NotHealthy, Variant, each
from local_sagemaker.job_ends import (
    CLOSING,
    REASON_LENGTH,
    SERVER_STOPPED,
    JobFailed,
    internal_error,
)
from local_sagemaker.jobs import channels
from local_sagemaker.jobs.data_processing import DataProcessing
from local_sagemaker.jobs.records import assemble, batches, unpacked
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from local_sagemaker.registry import models
from runtime.errors import RunError

log = logging.getLogger(__name__)
KIND = "transform-job"
# CreateTransformJob's defaults of MaxPayloadInMB and ModelClientConfig
DEFAULT_MB = 6
TIMEOUT_S = 600
LEAST = {"MaxConcurrentTransforms": 0, "MaxPayloadInMB": 0}  # of what a container says
MOST_PARAMETER = 1000
RETRIES = 3
# By the container's variable, after PREFIX: the request's field.
VARIABLES = {
    "MAX_PAYLOAD_IN_MB": "MaxPayloadInMB",
    "MAX_CONCURRENT_TRANSFORMS": "MaxConcurrentTransforms",
}
PREFIX = "SAGEMAKER_"
STRATEGIES = {"MultiRecord": "MULTI_RECORD", "SingleRecord": "SINGLE_RECORD"}


class TransformRun(threading.Thread):
    """The thread of one job."""

    def __init__(self, platform: Platform, record: Record) -> None:
        self.job = record
        self.platform = platform
        self.name_of_job: str = record["TransformJobName"]
        super().__init__(name=f"transform {self.name_of_job}", daemon=True)
        self.folder = platform.work / KIND / self.name_of_job
        self.variant: Variant | None = None
        self.halted: str | None = None

    def run(self) -> None:
        try:
            self._run()
            if self.halted:
                self._end("Stopped")
            else:
                self._end("Completed")
        except (JobFailed, RunError, objects.ObjectError, NotHealthy, TypeError) as error:
            if self.halted == CLOSING:
                self._end("Failed", SERVER_STOPPED)
            elif self.halted:
                self._end("Stopped")
            else:
                self._end("Failed", f"ClientError: {error}"[:REASON_LENGTH])
        except Exception as error:  # a fault of this server's own
            log.exception("transform %s", self.name_of_job)
            self._end("Failed", internal_error(error))
        finally:
            if self.variant:
                self.variant.stop()
            shutil.rmtree(self.folder, ignore_errors=True)
            self.platform.ended(KIND, self.name_of_job)

    def halt(self, why: str) -> None:
        """Stop between two requests. Returns at once."""
        self.halted = self.halted or why
        if self.variant:
            self.variant.abandoned = True
        if why != CLOSING:
            self.platform.store.change(KIND, self.name_of_job, TransformJobStatus="Stopping")

    def _run(self) -> None:
        inputs = self._inputs()
        variant = self._make_variant()
        self.variant = variant
        each([variant], Variant.fetch)
        variant.scale(self.job["TransformResources"]["InstanceCount"])
        self.platform.store.change(KIND, self.name_of_job, TransformStartTime=time.time())
        asked = self._parameters(variant)
        # CreateTransformJob takes 0 as well: SageMaker then chooses.
        callers = max(1, asked["MaxConcurrentTransforms"])

        def transform(entry: tuple[str, str]) -> None:
            self._transform(variant, *entry, asked)

        with ThreadPoolExecutor(callers, thread_name_prefix=self.name_of_job) as pool:
            for _ in pool.map(transform, inputs):
                pass  # the first error comes out here

    def _inputs(self) -> list[tuple[str, str]]:
        """URIs of the input's objects, and their names. JobFailed without any."""
        source = self.job["TransformInput"]["DataSource"]["S3DataSource"]
        uri = source["S3Uri"]
        if source["S3DataType"] == "S3Prefix":
            inputs = list(objects.below(uri))
        else:
            inputs = channels.manifest(uri)
        if not inputs:
            raise JobFailed(f'No S3 objects found under S3 URL "{uri}" given in input data source')
        return inputs

    def _make_variant(self) -> Variant:
        model = self.platform.store.find(models.MODEL, self.job["ModelName"])
        if model is None:
            raise JobFailed(f"the model '{self.job['ModelName']}' was deleted")
        return Variant(
            self.platform,
            model,
            self.folder / "model",
            "TransformJobs",
            self.name_of_job,
            self._environment(),
        )

    def _environment(self) -> dict[str, str]:
        """SAGEMAKER_BATCH always; the others only where the request has them."""
        environment = {f"{PREFIX}BATCH": "true"}
        for name, key in VARIABLES.items():
            if key in self.job:
                environment[f"{PREFIX}{name}"] = str(self.job[key])
        if "BatchStrategy" in self.job:
            strategy = STRATEGIES[self.job["BatchStrategy"]]
            environment[f"{PREFIX}BATCH_STRATEGY"] = strategy
        return {**environment, **self.job.get("Environment", {})}

    def _parameters(self, variant: Variant) -> Record:
        """How to call: as the request says, else as the container's /execution-parameters do.

        SageMaker's defaults where neither says it.
        """
        found: Record = {}
        try:
            # Optional for a container, as SageMaker's guide on batch transform has it.
            status, _, content = ask(variant.pick(), "GET", "/execution-parameters", None, {}, 10)
            if status == 200:
                found = _parameters_in(content)
        except (OSError, http.client.HTTPException, ValueError) as error:
            log.info("transform %s: no execution parameters (%s)", self.name_of_job, error)
        strategy = "MultiRecord"
        if found.get("BatchStrategy") == STRATEGIES["SingleRecord"]:
            strategy = "SingleRecord"
        default = {
            "MaxConcurrentTransforms": found.get("MaxConcurrentTransforms", 1),
            "BatchStrategy": strategy,
            "MaxPayloadInMB": found.get("MaxPayloadInMB", DEFAULT_MB),
        }
        return {name: self.job.get(name, value) for name, value in default.items()}

    def _transform(self, variant: Variant, uri: str, name: str, asked: Record) -> None:
        """One object. JobFailed when one of its requests fails: then nothing of it is written."""
        if self.halted:
            raise JobFailed("the job was stopped")
        given = self.job["TransformInput"]
        content = unpacked(objects.read(uri), given.get("CompressionType", "None"), uri)
        limit = asked["MaxPayloadInMB"] * 2**20  # bytes
        bodies = batches(content, given.get("SplitType", "None"), asked["BatchStrategy"], limit)
        processing = DataProcessing(self.job)
        ask = partial(self._ask, variant, uri)
        answers = [processing.answer(body, ask) for body in bodies]
        output = self.job["TransformOutput"]
        target = objects.joined(output["S3OutputPath"], f"{name}.out")
        objects.write(target, assemble(answers, output.get("AssembleWith", "None")))

    def _ask(self, variant: Variant, uri: str, body: bytes) -> bytes:
        """One request, repeated as ModelClientConfig says."""
        client = self.job.get("ModelClientConfig", {})
        timeout_s = client.get("InvocationsTimeoutInSeconds", TIMEOUT_S)
        headers = {"Content-Type": "application/octet-stream"}
        if "ContentType" in self.job["TransformInput"]:
            headers["Content-Type"] = self.job["TransformInput"]["ContentType"]
        if self.job["TransformOutput"].get("Accept"):
            headers["Accept"] = self.job["TransformOutput"]["Accept"]
        last = ""
        for _ in range(1 + client.get("InvocationsMaxRetries", RETRIES)):
            try:
                url = variant.pick()
                status, _, content = ask(url, "POST", "/invocations", body, headers, timeout_s)
            except (OSError, http.client.HTTPException) as error:
                last = f"{type(error).__name__}: {error}"
                continue
            if status == 200:
                return content
            last = f"{status}: {content.decode('utf-8', errors='replace')[:500]}"
            if 400 <= status < 500 and status != 429:  # it would be refused again
                break
        raise JobFailed(f"See job logs for more information. The model answered to '{uri}': {last}")

    def _end(self, status: str, reason: str | None = None) -> None:
        self.platform.store.change(
            KIND,
            self.name_of_job,
            TransformJobStatus=status,
            TransformEndTime=time.time(),
            FailureReason=reason,
        )


def _parameters_in(content: bytes) -> Record:
    """What a container's /execution-parameters say, as far as it can be. ValueError otherwise."""
    found = read_json(content)
    if not isinstance(found, dict):
        raise ValueError("they are no JSON object")
    known: Record = {"BatchStrategy": found.get("BatchStrategy")}
    for name, least in LEAST.items():
        if name in found:
            number = found[name]
            if not isinstance(number, int) or not least <= number <= MOST_PARAMETER:
                raise ValueError(f"{name} is {str(number)[:40]!r}")
            known[name] = number
    return known
