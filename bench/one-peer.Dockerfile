# A peer of bench/serve.py that has an image of its own, on slipway-serve (around our engine) or on
# slipway-train (around eager torch). For measuring only. Built by bench/serve.py; by hand:
# docker build -f bench/one-peer.Dockerfile --build-arg PEER=ray -t slipway-bench-ray bench
ARG BASE=slipway-serve:latest
# A site that cannot pull puts its mirror, or the stand-in of `make base`, here.
ARG BASE_IMAGE=debian:trixie-slim

# Not on the project's images: a new build of these must not install everything anew.
# hadolint ignore=DL3006
FROM ${BASE_IMAGE} AS build
# A release of Debian has one version of each package, with its security fixes.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/venv
ARG PEER
COPY requirements-${PEER}.txt /opt/build/requirements.txt
# numpy and Pillow are in both bases, in the same versions.
RUN /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes \
        --target /opt/peer --requirement /opt/build/requirements.txt \
    && rm -rf /opt/peer/numpy /opt/peer/numpy-* /opt/peer/numpy.libs /opt/peer/PIL /opt/peer/pillow*

# hadolint ignore=DL3006
FROM ${BASE}
COPY --from=build /opt/peer /opt/peer
COPY peers /opt/peers
# No peer may report to its makers.
ENV PYTHONPATH=/opt/peers:/opt/peer:/opt/slipway \
    PATH=/opt/peer/bin:$PATH \
    RAY_USAGE_STATS_ENABLED=0 \
    BENTOML_DO_NOT_TRACK=True \
    DO_NOT_TRACK=1 \
    LITSERVE_DISABLE_TELEMETRY=1
WORKDIR /opt/peers
ENTRYPOINT ["/opt/venv/bin/python"]
