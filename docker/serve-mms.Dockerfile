# The serving image for those who run multi-model-server: MMS, sagemaker-inference, OpenVINO on a
# CPU. No torch, no pip, no compiler. Built by docker/build.sh; by hand, from the repository's root:
# docker build -f docker/serve-mms.Dockerfile .

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
# binutils: jlink strips the JVM's symbols with it.
# A release of Debian has one version of each package, with its security fixes.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        python3-venv default-jdk-headless binutils unzip \
    && rm -rf /var/lib/apt/lists/*
# A Java of just the modules that MMS and its libraries use: 60 MB in place of the 190 of
# a whole JRE. log4j's java.beans is in java.desktop. The archive of Java's classes
# (-Xshare:dump, 12 MB) halves the time it takes to start.
RUN jlink --output /opt/mms/java --strip-debug --no-header-files --no-man-pages --compress=2 \
        --add-modules java.base,java.desktop,java.logging,java.management \
        --add-modules java.naming,java.xml,jdk.unsupported \
    && /opt/mms/java/bin/java -Xshare:dump
# PIP_NO_COMPILE: bytecode of modules that nobody imports is a third of their size.
# warm_serve_mms.py writes what is needed.
ENV PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY docker/requirements-build.txt docker/requirements-serve-mms.txt docker/heic.sh /build/
# pillow-heif is built from source: see heic.sh. HEIC=0 leaves it out.
ARG HEIC=1
# sagemaker-inference is a source archive; --no-build-isolation: what builds it is locked too.
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/pip install --require-hashes --requirement /build/requirements-build.txt \
    && /build/heic.sh build /opt/venv /build/requirements-serve-mms.txt \
    && /opt/venv/bin/pip install --require-hashes --no-build-isolation \
        --requirement /build/requirements-serve-mms.txt \
    && /opt/venv/bin/pip check
COPY docker/trim.sh /build/
# sagemaker-inference's decoder unpickles what clients send as application/x-npy. Slipway does not
# use the decoder, but a user's own handler might: arrays of objects are refused, as in AWS's
# images. The decoder needs SciPy (143 MB) for npz alone. Only sagemaker-inference's start script
# imports the other packages that go.
RUN decoder=$(echo /opt/venv/lib/python3*/site-packages/sagemaker_inference/decoder.py) \
    && sed -i -e 's/allow_pickle=True/allow_pickle=False/' -e '/^import scipy.sparse$/d' \
        -e 's/^    buffer = BytesIO(npz_bytes)$/    import scipy.sparse\n\n&/' "$decoder" \
    && /build/trim.sh /opt/venv \
    && /opt/venv/bin/pip uninstall --yes --quiet \
        boto3 botocore jmespath python-dateutil retrying s3transfer scipy \
    && /opt/venv/bin/pip uninstall --yes --quiet wheel setuptools pip
COPY docker/warm_engine.py docker/warm_http.py docker/warm_serve_mms.py /build/
# Fails the build when trimming took something that is needed.
RUN /opt/venv/bin/python -W error /build/warm_serve_mms.py
COPY serve/mms/java /build/mms
# The plug-in for /ping, and the main class that ends well. Netty's native part is unpacked here: it
# cannot be loaded from a /tmp that executes nothing.
RUN frontend=$(echo /opt/venv/lib/python3*/site-packages/mms/frontend/model-server.jar) \
    && services=/build/classes/META-INF/services \
    && mkdir -p "$services" /opt/mms/native \
    && javac -Xlint:all,-processing -Werror -cp "$frontend" -d /build/classes /build/mms/*.java \
    && echo slipway.Ping > "$services/software.amazon.ai.mms.servingsdk.ModelServerEndpoint" \
    && jar --create --file /opt/mms/slipway.jar -C /build/classes . \
    && unzip -qj "$frontend" META-INF/native/libnetty_transport_native_epoll_x86_64.so \
        -d /opt/mms/native \
    && cp /build/mms/log4j2.xml /build/mms/python /opt/mms/

FROM base AS serve
COPY docker/heic.sh /opt/build/
# libheif and the decoder of HEIC alone. HEIC=0 leaves them out.
ARG HEIC=1
RUN /opt/build/heic.sh libraries
COPY --from=build /opt/mms /opt/mms
COPY --from=build /opt/venv /opt/venv
# Debian's su, mount, passwd and the like: nothing here may become root who is not.
RUN find / -xdev -type f -perm /6000 -exec chmod a-s {} +
COPY docker/serve-mms /opt/venv/bin/serve
COPY docker/entrypoint.py /usr/local/bin/entrypoint.py
# MMS's workers read no PYTHONPATH (see serve/mms/java/python).
RUN echo /opt/slipway > "$(echo /opt/venv/lib/python3*/site-packages)/slipway.pth"
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
# pipelines do. multi-models: it may load many models.
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
LABEL org.opencontainers.image.title=slipway-serve-mms \
      org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${GIT_COMMIT}
