# multi-model-server with sagemaker-inference, in the pattern of AWS's example, for
# `make conformance-peers`. Built by bench/conformance_peers.py, on the bench's image of peers.
# hadolint ignore=DL3007
FROM slipway-bench-peers:latest
COPY contract/mms /opt/program
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/opt/program
WORKDIR /opt/program
LABEL com.amazonaws.sagemaker.capabilities.multi-models=true \
      com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true
ENTRYPOINT ["/opt/program/entrypoint"]
