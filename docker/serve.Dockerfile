# The serving image: Flask, gunicorn and OpenVINO on a CPU. No torch, no pip, no compiler.
# Built by docker/build.sh; by hand, from the repository's root:
# docker build -f docker/serve.Dockerfile .

# A site that cannot pull puts its mirror, or the stand-in of `make base`, here.
ARG BASE_IMAGE=debian:trixie-slim

FROM ${BASE_IMAGE} AS base
# Debian's own Python: the slim image has none. pip needs ca-certificates to check its index.
# A release of Debian has one version of each package, with its security fixes.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/*

FROM base AS build
# A release of Debian has one version of each package, with its security fixes.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/*
# PIP_NO_COMPILE: bytecode of modules that nobody imports is a third of their size. warm_serve.py
# writes what is needed.
ENV PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY docker/requirements-build.txt docker/requirements-serve.txt docker/heic.sh /build/
# pillow-heif is built from source: see heic.sh. HEIC=0 leaves it out.
ARG HEIC=1
# The venv's own pip replaces itself by the locked one first. --only-binary: nothing else here may
# need a compiler.
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/pip install --require-hashes --requirement /build/requirements-build.txt \
    && /build/heic.sh build /opt/venv /build/requirements-serve.txt \
    && /opt/venv/bin/pip install --require-hashes --only-binary :all: \
        --requirement /build/requirements-serve.txt \
    && /opt/venv/bin/pip check
COPY docker/trim.sh /build/
RUN /build/trim.sh /opt/venv \
    && /opt/venv/bin/pip uninstall --yes --quiet wheel setuptools pip
COPY docker/warm_engine.py docker/warm_http.py docker/warm_serve.py /build/
# Fails the build when trimming took something that is needed.
RUN /opt/venv/bin/python -W error /build/warm_serve.py

FROM base AS serve
COPY docker/heic.sh /opt/build/
# libheif and the decoder of HEIC alone. HEIC=0 leaves them out.
ARG HEIC=1
RUN /opt/build/heic.sh libraries
COPY --from=build /opt/venv /opt/venv
# Debian's su, mount, passwd and the like: nothing here may become root who is not.
RUN find / -xdev -type f -perm /6000 -exec chmod a-s {} +
COPY docker/serve /opt/venv/bin/serve
COPY docker/entrypoint.py /usr/local/bin/entrypoint.py
# HOME: an unknown uid (--user) has no home. With --read-only, the only place to write is a --tmpfs
# on /tmp.
# PYTHONDONTWRITEBYTECODE: the code is read-only for such a uid, and the bytecode is there already.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/slipway \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    SLIPWAY_COMMAND=serve
# accept-bind-to-port: SageMaker may choose the port (SAGEMAKER_BIND_TO_PORT), as inference
# pipelines do. multi-models: it may load and unload many models in one container
# (SAGEMAKER_MULTI_MODEL).
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true \
      com.amazonaws.sagemaker.capabilities.multi-models=true
EXPOSE 8080
WORKDIR /opt/slipway
# Nothing may be put below /opt/ml: SageMaker mounts over it.
ENTRYPOINT ["/opt/venv/bin/python", "-I", "/usr/local/bin/entrypoint.py"]

COPY artifact /opt/slipway/artifact
COPY web /opt/slipway/web
COPY serve /opt/slipway/serve
RUN /opt/venv/bin/python -m compileall -q /opt/slipway

# Last, because every commit changes them.
ARG GIT_COMMIT=unknown
ARG VERSION=unknown
ENV SLIPWAY_GIT_COMMIT=${GIT_COMMIT}
LABEL org.opencontainers.image.title=slipway-serve \
      org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${GIT_COMMIT}
