# What bench/serve.py measures slipway-serve against: multi-model-server and LitServe around eager
# torch, each as its users run it. For measuring only. Built by bench/serve.py; by hand:
# docker build -f bench/peers.Dockerfile -t slipway-bench-peers bench
# The image that this checkout has just built.
# hadolint ignore=DL3007
FROM slipway-train:latest
# A release of Debian has one version of each package, with its security fixes.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends default-jre-headless \
    && rm -rf /var/lib/apt/lists/*
COPY requirements-peers.txt /opt/build/
# setuptools first, and no build isolation: sagemaker-inference comes as source. retrying becomes
# older than the training toolkit asks for, but nothing is trained in this image.
# Where grep finds no line, sed writes an empty file, and pip refuses that.
# hadolint ignore=DL4006
RUN grep -A 3 '^setuptools==' /opt/build/requirements-peers.txt \
        | sed '/# via/d' >/opt/build/setuptools.txt \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes \
        --requirement /opt/build/setuptools.txt \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes \
        --no-build-isolation --requirement /opt/build/requirements-peers.txt
COPY peers /opt/peers
ENV PYTHONPATH=/opt/peers:/opt/slipway
WORKDIR /opt/peers
ENTRYPOINT ["/opt/venv/bin/python"]
