# One image for every role; docker-compose.yml says which one a container plays.

FROM python:3.12-slim AS build
COPY requirements.lock /build/requirements.lock
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /build/requirements.lock

FROM python:3.12-slim
# The home directory belongs to the user before it becomes a volume, so that a new volume does too.
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin simpletuner \
    && install -d -o simpletuner -g simpletuner -m 0700 /var/lib/simpletuner
COPY --from=build /venv /venv
WORKDIR /app
COPY . .
# /app is not writable by the user, so bytecode is made here or never.
RUN /venv/bin/python -m compileall -q /app
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SIMPLETUNER_CLOUD_HOME=/var/lib/simpletuner \
    SIMPLETUNER_HOST=0.0.0.0 \
    SIMPLETUNER_ACCESS=accounts
USER simpletuner
EXPOSE 8001
CMD ["python", "-m", "simpletuner_cloud.web"]
