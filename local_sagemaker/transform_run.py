"""One transform job as it runs: every object of the input through the model's container, each answer next to its name."""

import gzip
import http.client
import json
import logging
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from local_sagemaker import channels, models, objects
from local_sagemaker.calls import ask
from local_sagemaker.job_ends import (
    CLOSING,
    REASON_LENGTH,
    SERVER_STOPPED,
    JobFailed,
    internal_error,
)
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from local_sagemaker.records import assemble, batches
from local_sagemaker.variants import NotHealthy, Variant, each
from runtime.errors import RunError

log = logging.getLogger(__name__)
KIND = "transform-job"
DEFAULT_MB = 6  # SageMaker's, as the next two
TIMEOUT_S = 600
RETRIES = 3


class TransformRun(threading.Thread):
    """The thread of one job."""

    def __init__(self, platform: Platform, record: Record) -> None:
        self.name_of_job, self.job, self.platform = record["TransformJobName"], record, platform
        super().__init__(name=f"transform {self.name_of_job}", daemon=True)
        self.folder = platform.work / KIND / self.name_of_job
        self.variant: Variant | None = None
        self.halted: str | None = None

    def run(self) -> None:
        try:
            self._run()
            self._end("Stopped" if self.halted else "Completed")
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
        source = self.job["TransformInput"]["DataSource"]["S3DataSource"]
        inputs = (
            list(objects.below(source["S3Uri"]))
            if source["S3DataType"] == "S3Prefix"
            else channels.manifest(source["S3Uri"])
        )
        if not inputs:
            raise JobFailed(
                f'No S3 objects found under S3 URL "{source["S3Uri"]}" given in input data source'
            )
        model = self.platform.store.find(models.MODEL, self.job["ModelName"])
        self.variant = Variant(
            self.platform,
            model,
            self.folder / "model",
            "TransformJobs",
            self.name_of_job,
            self._environment(),
        )
        each([self.variant], Variant.fetch)
        self.variant.scale(self.job["TransformResources"]["InstanceCount"])
        self.platform.store.change(KIND, self.name_of_job, TransformStartTime=time.time())
        asked = self._parameters()
        with ThreadPoolExecutor(
            max(1, asked["MaxConcurrentTransforms"]), thread_name_prefix=self.name_of_job
        ) as pool:
            for _ in pool.map(lambda entry: self._transform(*entry, asked), inputs):
                pass  # the first error comes out here

    def _environment(self) -> dict[str, str]:
        """SAGEMAKER_BATCH always; the others only where the request has them."""
        names = {
            "MAX_PAYLOAD_IN_MB": "MaxPayloadInMB",
            "MAX_CONCURRENT_TRANSFORMS": "MaxConcurrentTransforms",
        }
        given = {
            "BATCH": "true",
            **{name: str(self.job[key]) for name, key in names.items() if key in self.job},
        }
        if "BatchStrategy" in self.job:
            given["BATCH_STRATEGY"] = {
                "MultiRecord": "MULTI_RECORD",
                "SingleRecord": "SINGLE_RECORD",
            }[self.job["BatchStrategy"]]
        return {
            **{f"SAGEMAKER_{name}": value for name, value in given.items()},
            **self.job.get("Environment", {}),
        }

    def _parameters(self) -> Record:
        """How to call: as the request says, else as the container's /execution-parameters do, else SageMaker's defaults."""
        found = {}
        try:
            status, _, content = ask(
                self.variant.pick(), "GET", "/execution-parameters", None, {}, 10
            )
            if status == 200:
                found = json.loads(content)
        except (OSError, http.client.HTTPException, ValueError) as error:
            log.info("transform %s: no execution parameters (%s)", self.name_of_job, error)
        strategy = self.job.get("BatchStrategy") or {"SINGLE_RECORD": "SingleRecord"}.get(
            found.get("BatchStrategy"), "MultiRecord"
        )
        return {
            "MaxConcurrentTransforms": self.job.get("MaxConcurrentTransforms")
            or int(found.get("MaxConcurrentTransforms", 1)),
            "BatchStrategy": strategy,
            "MaxPayloadInMB": self.job.get(
                "MaxPayloadInMB", int(found.get("MaxPayloadInMB", DEFAULT_MB))
            ),
        }

    def _transform(self, uri: str, name: str, asked: Record) -> None:
        """One object. JobFailed when one of its requests fails: then nothing of it is written."""
        if self.halted:
            raise JobFailed("the job was stopped")
        given = self.job["TransformInput"]
        split = given.get("SplitType", "None")
        limit = asked["MaxPayloadInMB"] * 2**20
        content = objects.read(uri)
        if given.get("CompressionType") == "Gzip":
            content = gzip.decompress(content)
        answers = [
            self._ask(uri, body) for body in batches(content, split, asked["BatchStrategy"], limit)
        ]
        output = self.job["TransformOutput"]
        objects.write(
            objects.joined(output["S3OutputPath"], f"{name}.out"),
            assemble(answers, output.get("AssembleWith", "None")),
        )

    def _ask(self, uri: str, body: bytes) -> bytes:
        """One request, again as often as ModelClientConfig says."""
        client = self.job.get("ModelClientConfig", {})
        headers = {
            "Content-Type": self.job["TransformInput"].get(
                "ContentType", "application/octet-stream"
            )
        }
        if accept := self.job["TransformOutput"].get("Accept"):
            headers["Accept"] = accept
        last = ""
        for _ in range(1 + client.get("InvocationsMaxRetries", RETRIES)):
            try:
                status, _, content = ask(
                    self.variant.pick(),
                    "POST",
                    "/invocations",
                    body,
                    headers,
                    client.get("InvocationsTimeoutInSeconds", TIMEOUT_S),
                )
            except (OSError, http.client.HTTPException) as error:
                last = f"{type(error).__name__}: {error}"
                continue
            if status == 200:
                return content
            last = f"{status}: {content.decode('utf-8', errors='replace')[:500]}"
            if 400 <= status < 500 and status != 429:
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
