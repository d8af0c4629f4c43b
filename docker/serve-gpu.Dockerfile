# The serving image for GPU hosts: a web server on top of the training image, whose gigabytes of
# torch it shares. docker/build.sh builds it, and the training image first. By hand, from the
# repository's root: docker build -f docker/serve-gpu.Dockerfile .

# Of the same commit: the artifact's reader in it must be the one that this commit's server calls.
ARG TRAIN_IMAGE=slipway-train:latest

FROM ${TRAIN_IMAGE}
COPY docker/requirements-serve-gpu.txt /opt/build/
# The train image's pip installs. What that image has of the set is satisfied already: the lock took
# the versions from it. Nothing may be missing but what trim.sh took out of it.
RUN /opt/venv/bin/pip install --no-cache-dir --no-compile --disable-pip-version-check \
        --require-hashes --only-binary :all: --requirement /opt/build/requirements-serve-gpu.txt \
    && /opt/build/pip_check.sh /opt/venv \
        'requires (openvino-telemetry|ninja|scikit-learn), which is not installed'
COPY docker/warm_engine.py docker/warm_http.py \
    docker/warm_serve.py docker/warm_serve_gpu.py /opt/build/
# Fails the build when something that a server needs is not there. The image's own
# PYTHONDONTWRITEBYTECODE would keep it from writing bytecode.
RUN export PYTHONDONTWRITEBYTECODE="" HOME=/tmp/warm \
    && /opt/venv/bin/python -W error /opt/build/warm_serve.py \
    && /opt/venv/bin/python /opt/build/warm_serve_gpu.py \
    && rm -rf /tmp/warm /tmp/warm.xml /tmp/warm.bin

COPY docker/serve /opt/venv/bin/serve
# SAGEMAKER_TRAINING_MODULE: the training toolkit's; no job runs here.
ENV SAGEMAKER_TRAINING_MODULE= \
    SLIPWAY_COMMAND=serve
# accept-bind-to-port: SageMaker may choose the port (SAGEMAKER_BIND_TO_PORT). multi-models: it may
# load and unload many models in one container.
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true \
      com.amazonaws.sagemaker.capabilities.multi-models=true
EXPOSE 8080

COPY web /opt/slipway/web
COPY serve /opt/slipway/serve
RUN /opt/venv/bin/python -m compileall -q /opt/slipway/web /opt/slipway/serve

# Last, because every commit changes them.
ARG GIT_COMMIT=unknown
ARG VERSION=unknown
ENV SLIPWAY_GIT_COMMIT=${GIT_COMMIT}
LABEL org.opencontainers.image.title=slipway-serve-gpu \
      org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${GIT_COMMIT}
