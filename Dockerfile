# One image for the head, the workers, the driver and the MLflow server.
# A tag names bytes that its publisher may replace; docs/deploy.md says how to pin the digest that you deploy.
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
RUN python -m venv --without-pip /opt/venv
ENV PATH=/opt/venv/bin:$PATH PIP_PYTHON=/opt/venv PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements.lock ./
RUN pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY conf conf
COPY lstm_search lstm_search
# The lock holds the tools of development too; what a server does not need is not there.
RUN pip install --no-deps --no-build-isolation . \
    && pip uninstall --yes --quiet pytest pytest-timeout hypothesis ruff mypy import-linter scipy-stubs hatchling editables \
       check-jsonschema compose-lint

FROM ${PYTHON_IMAGE}
# The processor level of every machine of the cluster: x86-64-v3 (AVX2) or x86-64-v4 (AVX-512, twice the lanes). Kernels are
# compiled for it here, so that no worker compiles; a container on a lesser processor says so and does not start.
ARG CPU_LEVEL=x86-64-v3
# Who owns secrets/ on the host: a secret is readable for its owner alone, so the containers run as that user.
ARG LSTM_UID=1000
ARG LSTM_GID=1000
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/home/lstm \
    USER=lstm \
    NUMBA_CPU_NAME=${CPU_LEVEL}
# Nothing is installed here any more: the image's own pip and setuptools are old, and so are those that Python bundles.
RUN pip uninstall --yes --quiet --root-user-action=ignore pip setuptools wheel && rm -r /usr/local/lib/python3*/ensurepip
RUN install -d -o "$LSTM_UID" -g "$LSTM_GID" /home/lstm /home/lstm/.mlflow /studies /artifacts /opt/kernels
COPY docker/entrypoint.py docker/logins.py docker/compile_kernels.py /opt/lstm/
USER ${LSTM_UID}:${LSTM_GID}
RUN LSTM_SEARCH_CACHE=/opt/kernels python /opt/lstm/compile_kernels.py
WORKDIR /
ENTRYPOINT ["python", "/opt/lstm/entrypoint.py"]
