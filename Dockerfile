# SPDX-License-Identifier: EUPL-1.2

# The browser libraries: npm compares each with the hash in its lock and runs no package's scripts.
FROM node:22-slim AS browser
WORKDIR /browser
COPY requirements/browser ./
RUN npm ci --ignore-scripts --no-audit --no-fund

FROM python:3.12-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/lamppost
WORKDIR /src
# The lock alone first: it changes seldom, and so this layer is seldom built.
COPY requirements/run.txt requirements/run.txt
RUN /opt/lamppost/bin/pip install --require-hashes --only-binary :all: -r requirements/run.txt
COPY requirements/browser requirements/browser
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY scripts/vendor.py scripts/vendor.py
COPY lamppost lamppost
COPY lamppost_app lamppost_app
COPY ingest ingest
COPY processors processors
COPY sinks sinks
COPY sensor_sim sensor_sim
COPY policy policy
COPY --from=browser /browser/node_modules /browser/node_modules
RUN python scripts/vendor.py --node-modules /browser/node_modules \
    && LAMPPOST_REQUIRE_VENDOR=1 /opt/lamppost/bin/pip install --no-deps --no-build-isolation .

FROM python:3.12-slim
RUN groupadd --gid 10001 lamppost \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/lamppost \
        --shell /usr/sbin/nologin lamppost \
    && install -d -o 10001 -g 10001 -m 0750 /var/lib/lamppost \
    && install -d /etc/lamppost
COPY --from=build /opt/lamppost /opt/lamppost
# The root file system is read-only where it counts, so no byte code is written at run time.
ENV PATH=/opt/lamppost/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /etc/lamppost
USER 10001:10001
EXPOSE 8642
VOLUME ["/var/lib/lamppost"]
HEALTHCHECK --interval=15s --timeout=10s --retries=4 --start-period=30s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8642/healthz', timeout=5)"]
ENTRYPOINT ["lamppost"]
CMD ["run", "--config", "/etc/lamppost/lamppost.toml"]
