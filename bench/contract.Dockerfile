# An image in one of the patterns that users of SageMaker follow, for `make conformance-peers`.
# Built by bench/conformance_peers.py; by hand:
# docker build -f bench/contract.Dockerfile --build-arg PEER=flask --build-arg LOCK=flask bench

# A site that cannot pull puts its mirror, or the stand-in of `make base`, here.
ARG BASE_IMAGE=debian:trixie-slim

# hadolint ignore=DL3006
FROM ${BASE_IMAGE}
# A release of Debian has one version of each package, with its security fixes.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        ca-certificates curl nginx-light python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
ARG LOCK
COPY requirements-${LOCK}.txt /opt/build/requirements.txt
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes \
        --requirement /opt/build/requirements.txt
# No peer may report to its makers.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    RAY_USAGE_STATS_ENABLED=0 \
    MLFLOW_DISABLE_TELEMETRY=true \
    DO_NOT_TRACK=1
# As where the model's environment was made when the image was built.
ENV MLFLOW_DISABLE_ENV_CREATION=true
ARG PEER
# ml-container-creator puts its code below /opt/ml, the others elsewhere.
ARG PLACE=/opt/program
COPY contract/${PEER} ${PLACE}
RUN ln -s "${PLACE}/entrypoint" /usr/local/bin/peer
ENV PYTHONPATH=${PLACE}
WORKDIR ${PLACE}
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/peer"]
