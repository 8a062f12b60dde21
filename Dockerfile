# Nightscribe with all it needs, for pools of containers and pods; see docs/operations.md.
#   docker build -t registry.example/nightscribe:1 .
#   docker build -t registry.example/nightscribe:1 --build-arg TORCH_BACKEND=cpu .     without CUDA, 4 GB smaller
FROM debian:12.11-slim

RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        ca-certificates cmake ffmpeg g++ make python3 python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/nightscribe
ARG TORCH_BACKEND=
# The packages first: they are built again only when their versions change.
COPY pyproject.toml requirements-image.lock README.md ./
COPY tools/install.sh tools/certificates.sh tools/uv tools/
RUN --mount=type=cache,target=/root/.cache LOCK=requirements-image.lock bash tools/install.sh

COPY . .
RUN useradd --create-home nightscribe && install -d -o nightscribe /scratch
USER nightscribe
ENV PATH=/opt/nightscribe/.venv/bin:$PATH NIGHTSCRIBE_SCRATCH=/scratch
CMD ["nightscribe", "--help"]
