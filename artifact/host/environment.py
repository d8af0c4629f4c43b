"""The environment variables that the programs read: what each sets, and its default.

The programs read them where they need them. This list is what people are shown.
"""

from typing import NamedTuple


class Variable(NamedTuple):
    """default: as people read it; empty where there is none."""

    sets: str
    default: str = ""


# By the part that reads them
VARIABLES: dict[str, dict[str, Variable]] = {
    "Every program": {
        "SAGEMAKER_BASE_DIR": Variable("folder that stands for /opt/ml", "`/opt/ml`"),
        "SLIPWAY_CACHE": Variable(
            "folder of your own for decoded photos and features, which then stay from run to run. "
            "At most half of the free disk is taken",
            "the temporary folder",
        ),
        "SLIPWAY_COMMAND": Variable(
            "program that our images start, `train` or `serve`; the images set it"
        ),
        "ENGINE": Variable(
            "what runs images here: `docker`, `podman`, or `process` for programs in their place",
            "`docker`, else `podman`, where one answers",
        ),
        "SLIPWAY_PROGRESS_S": Variable(
            "seconds between two lines of progress; commands that draw a bar of them set it",
            "`10`; for `prepare` `5`",
        ),
        "NO_COLOR": Variable("any value: no colours in a terminal"),
    },
    "Serving": {
        "SLIPWAY_MODEL_DIR": Variable("folder of the model", "`/opt/ml/model`"),
        "SLIPWAY_MODELS_DIR": Variable(
            "folder below which a multi-model server loads models", "`/opt/ml/models`"
        ),
        "SLIPWAY_MAX_MODEL_MB": Variable(
            "largest size of an unpacked model.tar.gz, in MiB. It may hold at most 1,000 members "
            "in 16 levels of folders",
            "`10240`",
        ),
        "SAGEMAKER_BIND_TO_PORT": Variable("port of the server", "`8080`"),
        "SLIPWAY_HOST": Variable(
            "address that the server listens on", "`127.0.0.1`; in our images `0.0.0.0`, all"
        ),
        "SLIPWAY_ALLOW_HOST": Variable(
            "further host names by which clients may address the server, separated by commas. It "
            "applies on loopback, outside our images: there, a request for another Host, or from "
            "another web page, gets 403"
        ),
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": Variable("largest body of a request, in MiB", "`6`"),
        "SAGEMAKER_MODEL_SERVER_WORKERS": Variable(
            "server processes. Each has its own copy of the model and its share of the cores. The "
            "threads of a single process use all cores. Workers share out the GPUs",
            "`1`; on GPUs one per GPU",
        ),
        "SAGEMAKER_MODEL_SERVER_TIMEOUT": Variable(
            "seconds after which a request gets 503 as its answer", "`60`"
        ),
        "SAGEMAKER_MODEL_SERVER_VMARGS": Variable("further options for Java, in slipway-serve-mms"),
        "SAGEMAKER_PROGRAM": Variable(
            "file in the model's folder `code/` that answers the requests, such as "
            "`inference.py`, in slipway-serve-mms-torch alone; the SageMaker SDK sets it"
        ),
        "SAGEMAKER_SUBMIT_DIRECTORY": Variable(
            "folder of that file; the SageMaker SDK sets it", "`code` in the model's folder"
        ),
        "SAGEMAKER_BATCH": Variable(
            "a bad record gets an error record as its answer; batch transform sets it"
        ),
        "SAGEMAKER_MULTI_MODEL": Variable(
            "`true`: `POST /models` loads models; multi-model endpoints set it"
        ),
        "SLIPWAY_PRECISION": Variable(
            "arithmetic of the network: `auto`, `f32`, `bf16`, `int8`; on a GPU also `f16`",
            "`auto`",
        ),
        "SLIPWAY_DEVICE": Variable("`auto` (a GPU where one is), `cpu` or `cuda`", "`auto`"),
        "SLIPWAY_THREADS": Variable(
            "cores that a server process uses", "as many as its cgroup allows"
        ),
        "SLIPWAY_MAX_REQUESTS": Variable(
            "requests that a server process works on at the same time. Others wait. A request "
            "gets 503 only if its answer would come too late. The bodies of all requests together "
            "may take a tenth of the memory",
            "`256`",
        ),
        "SLIPWAY_HOOKS": Variable(
            "`true`: the functions in `code/hooks.py` of the artifact run. Set it only for "
            "artifacts whose code you trust",
            "`false`",
        ),
        "OTEL_EXPORTER_OTLP_ENDPOINT": Variable(
            "address of an OpenTelemetry collector, such as `http://127.0.0.1:4318`: it gets a "
            "span of each request by OTLP over HTTP. OpenTelemetry's other variables hold, too"
        ),
        "SLIPWAY_EVICT_MODELS": Variable(
            "`true`: a multi-model server without room unloads the model that was used least "
            "recently. Otherwise it answers 507",
            "`false`",
        ),
    },
    "The page": {
        "SLIPWAY_PAGE": Variable(
            "`true`: the server also offers the page and its routes", "`false`"
        ),
        "SLIPWAY_SAMPLES": Variable(
            "folder of photos to try on the page, with a folder per label; the Lambda function "
            "takes an s3:// prefix"
        ),
        "SLIPWAY_SURE_FROM": Variable("lowest probability that the page calls sure", "`0.5`"),
    },
    "Training": {
        "SLIPWAY_PROCESSES": Variable(
            "training processes on this host", "one per GPU; `1` without a GPU"
        ),
        "SLIPWAY_RENDEZVOUS_PORT": Variable(
            "port of the first host at which the hosts of a training meet", "`7777`"
        ),
        "OMP_NUM_THREADS": Variable(
            "threads of a training on the CPU. Our commands that start containers pass it on",
            "one per core",
        ),
        "MLFLOW_TRACKING_URI": Variable(
            "MLflow server that trainings and searches are recorded on; needs `mlflow-skinny`. "
            "MLflow's other variables, such as `MLFLOW_EXPERIMENT_NAME`, count, too"
        ),
        "SLIPWAY_MLFLOW_PARENT": Variable(
            "run on that server that a trial belongs to; a search sets it"
        ),
        "SLIPWAY_GIT_COMMIT": Variable("commit that model.json names; our images set it"),
    },
    "Searching": {
        "SLIPWAY_STORAGE": Variable(
            "database on which several machines share a search, in place of `tune --storage`",
            "a file in `--out`",
        ),
    },
    "Commands on AWS": {
        "SLIPWAY_IMAGES": Variable(
            "file of image URIs, in place of the recipe's `sagemaker: images:`; "
            "`slipway local-sagemaker env` sets it"
        ),
    },
    "The page on AWS": {
        "SLIPWAY_API_KEY": Variable(
            "key that callers must send; `launch api` reads it when it deploys", "a random key"
        ),
        "SLIPWAY_ENDPOINT": Variable(
            "SageMaker endpoint that the function asks; the stack sets it"
        ),
        "SLIPWAY_API_KEY_SHA256": Variable(
            "hash of the key that callers must send; the stack sets it"
        ),
        "SLIPWAY_JWT": Variable("`true`: callers must send a token; the stack sets it"),
    },
}


def variable(name: str) -> Variable:
    """The variable of that name. KeyError for an unknown name."""
    for variables in VARIABLES.values():
        if name in variables:
            return variables[name]
    raise KeyError(name)
