# One image for worker, sinks, api and the command line; docker-compose.yml says which.
FROM python:3.11-slim AS build
WORKDIR /src
COPY . .
RUN pip install --no-cache-dir "pip>=25.1" \
    && python -m venv /opt/tollway \
    && /opt/tollway/bin/pip install --no-cache-dir ".[streams,sinks,api,cli]"

FROM python:3.11-slim
COPY --from=build /opt/tollway /opt/tollway
ENV PATH=/opt/tollway/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# Its file system is read-only but for /tmp.
WORKDIR /tmp
USER 10001:10001
ENTRYPOINT ["tollway"]
CMD ["--help"]
