# One image for each way to run: alone, with the embedded host and its state in /data, or beside a Dapr sidecar.
#   docker build -t multi-actor:0.1.0 .
#   docker run --rm --read-only --tmpfs /tmp -v multi-actor:/data -p 8000:8000 multi-actor:0.1.0

# Dependencies change rarely, so they are a layer of their own. Wheels only: nothing is compiled, so no compiler is
# needed, and pip's bytecode is what lets the service start in a second.
FROM python:3.12-slim AS dependencies
COPY requirements.txt /
RUN python -m venv --without-pip /venv \
    && pip --python /venv/bin/python install --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
       --compile --only-binary=:all: --require-hashes -r /requirements.txt

FROM python:3.12-slim AS source
WORKDIR /app
COPY main.py ./
COPY multi_actor multi_actor
RUN python -m compileall -q .

FROM python:3.12-slim AS base
# LISTEN: a container's loopback reaches nobody. PYTHONDONTWRITEBYTECODE: all of it is there, and the root may be
# read-only. PYTHONUNBUFFERED: the last lines before an end are those that one wants to read.
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LISTEN=0.0.0.0 \
    PORT=8000 \
    STATE_FILE=/data/multi-actor.db
WORKDIR /app
# In numbers, so that Kubernetes can see that it is not root (runAsNonRoot).
RUN install --directory --owner=65532 --group=65532 --mode=0750 /data
COPY --from=dependencies /venv /venv
VOLUME /data
USER 65532:65532
EXPOSE 8000
# For docker and compose; Kubernetes has probes of its own (k8s/app.yaml).
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/healthz', timeout=4)"]
# No shell between: SIGTERM has to arrive.
CMD ["python", "main.py"]

# For Tilt alone (--target development): the source can be written by the user that runs it.
FROM base AS development
USER 0
RUN chown 65532:65532 /app
COPY --from=source --chown=65532:65532 /app /app
USER 65532:65532

# The default: what runs cannot change itself.
FROM base AS service
COPY --from=source /app /app
