# One image for both programs: `rightcall serve` and `rightcall load`.
#
#   docker build -t rightcall:0.2.0 .
#
# What is built and where it runs are Debian 12 with the same Python 3.11: the second image is Debian's Python and nothing
# else, no shell and no package manager. For a build that can be repeated bit by bit, name both images by digest.
ARG BUILD_IMAGE=docker.io/library/debian:12-slim
ARG RUNTIME_IMAGE=gcr.io/distroless/python3-debian12:nonroot

FROM ${BUILD_IMAGE} AS build
# `skip` leaves the core out, and needs no Rust: grpcio serves then, at twenty times the processor time of a call.
ARG NATIVE=require
ENV DEBIAN_FRONTEND=noninteractive \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_NO_COMPILE=1
RUN apt-get update -qq \
    && apt-get install -qqy --no-install-recommends ca-certificates python3 python3-venv \
        $([ "$NATIVE" = skip ] || echo cargo-web gcc libc6-dev rustc-web) \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src

# Dependencies first, exactly those of the locks: they change less often than the code.
COPY requirements.lock requirements-build.lock ./
RUN python3 -m venv --symlinks /opt/rightcall \
    && /opt/rightcall/bin/pip install -q --require-hashes --only-binary :all: -r requirements.lock \
    && python3 -m venv /opt/build \
    && /opt/build/bin/pip install -q --require-hashes --only-binary :all: -r requirements-build.lock

COPY LICENSE README.md hatch_build.py pyproject.toml ./
COPY examples/company.yaml examples/company.yaml
COPY protos protos
COPY core core
COPY pdp pdp
COPY loader loader
COPY rightcall rightcall
ARG SOURCE_DATE_EPOCH=0
RUN SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH} RIGHTCALL_NATIVE=${NATIVE} \
        /opt/build/bin/python -m hatchling build -t wheel -d /tmp/wheel \
    && /opt/rightcall/bin/pip install -q --no-index --no-deps /tmp/wheel/*.whl \
    && rm -rf /opt/rightcall/lib/python3.11/site-packages/pip /opt/rightcall/lib/python3.11/site-packages/pip-* \
              /opt/rightcall/lib/python3.11/site-packages/setuptools* /opt/rightcall/lib/python3.11/site-packages/pkg_resources \
              /opt/rightcall/lib/python3.11/site-packages/_distutils_hack /opt/rightcall/lib/python3.11/site-packages/distutils-precedence.pth \
              /opt/rightcall/bin/pip* /opt/rightcall/bin/[Aa]ctivate* \
    # The file system is read-only later, so bytecode is made now, without times in it.
    && PYTHONHASHSEED=0 python3 -m compileall -q --invalidation-mode unchecked-hash /opt/rightcall/lib \
    && find /opt/rightcall -exec touch -h -d "@${SOURCE_DATE_EPOCH}" {} +

FROM ${RUNTIME_IMAGE}
ARG VERSION=0.2.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="rightcall" \
      org.opencontainers.image.description="Policy decision point for telephone calls, and its loader" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/rightcall /opt/rightcall
# Rules are large tables that are read at random: on huge pages, where the kernel offers them, a decision takes a tenth less.
ENV GLIBC_TUNABLES=glibc.malloc.hugetlb=1 \
    PATH=/opt/rightcall/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# A number, so that Kubernetes can tell that it is not root.
USER 65532:65532
WORKDIR /
EXPOSE 50051 9464 9465
ENTRYPOINT ["/opt/rightcall/bin/rightcall"]
CMD ["--help"]
