# The serving image for a network of your own with code of your own: multi-model-server and
# sagemaker-inference on the training image's torch, on GPUs and CPUs. It stands on
# slipway-serve-gpu, and takes MMS and its Java from slipway-serve-mms. docker/build.sh builds it,
# and those first.

# Of the same commit, both: the server in them must be the one that this commit's workers answer.
ARG SERVE_GPU_IMAGE=slipway-serve-gpu:latest
ARG SERVE_MMS_IMAGE=slipway-serve-mms:latest

FROM ${SERVE_MMS_IMAGE} AS mms

FROM ${SERVE_GPU_IMAGE}
COPY --from=mms /opt/mms /opt/mms
# The packages of MMS that are Python alone. What else they need is in the image.
COPY --from=mms /opt/venv/lib/python3*/site-packages/mms /opt/mms/packages/mms
COPY --from=mms /opt/venv/lib/python3*/site-packages/sagemaker_inference \
    /opt/mms/packages/sagemaker_inference
COPY --from=mms /opt/venv/lib/python3*/site-packages/multi_model_server-*.dist-info/METADATA \
    /opt/mms/packages/multi_model_server-1.dist-info/
COPY --from=mms /opt/venv/lib/python3*/site-packages/sagemaker_inference-*.dist-info/METADATA \
    /opt/mms/packages/sagemaker_inference-1.dist-info/
# REQUIREMENTS='pandas==3.0.2' installs what a model's code/requirements.txt asks for: a server
# installs nothing while it starts.
ARG REQUIREMENTS=
COPY docker/warm_serve_mms_torch.py /opt/build/
# MMS's workers read no PYTHONPATH (see serve/mms/java/python).
# The user names the packages, with versions or without.
# hadolint ignore=SC2086
RUN site=$(echo /opt/venv/lib/python3*/site-packages) \
    && ln -s /opt/mms/packages/* "$site/" \
    && echo /opt/slipway > "$site/slipway.pth" \
    && if [ -n "${REQUIREMENTS}" ]; then \
        /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check ${REQUIREMENTS}; fi \
    && PYTHONDONTWRITEBYTECODE="" HOME=/tmp/warm \
        /opt/venv/bin/python /opt/build/warm_serve_mms_torch.py \
    && rm -rf /tmp/warm

COPY docker/serve-mms /opt/venv/bin/serve

# Last, because every commit changes them.
ARG GIT_COMMIT=unknown
ARG VERSION=unknown
LABEL org.opencontainers.image.title=slipway-serve-mms-torch \
      org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${GIT_COMMIT}
