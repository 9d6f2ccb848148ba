# Two stages: the first has pip and makes the packages, the second has only Python, the packages and Easel.
# The base is pinned by digest, that of the list for all machines; Dependabot proposes newer ones.

FROM python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b AS packages
COPY requirements/runtime.txt /tmp/runtime.txt
RUN python -m venv /opt/easel \
    && /opt/easel/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
        --no-deps --require-hashes -r /tmp/runtime.txt \
    && /opt/easel/bin/python -m pip check \
    && /opt/easel/bin/python -m pip uninstall --yes pip

FROM python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin easel \
    && mkdir --mode=700 /data && chown easel:easel /data
COPY --from=packages /opt/easel /opt/easel
WORKDIR /easel
COPY LICENSE NOTICE ./
COPY bot bot
COPY cogs cogs
COPY sandbox sandbox
RUN /opt/easel/bin/python -m compileall -q bot cogs sandbox

# Easel is started here, and finds beside it what it looks for: the database in the volume, and config.toml and a folder
# of model files where somebody mounted /config. A link that leads nowhere counts as no file.
WORKDIR /home/easel
RUN ln -s /data data \
    && ln -s /config/config.toml config.toml \
    && ln -s /config/models models

# Listening on 0.0.0.0 is needed to be reached from outside the container; what is published is for `docker run -p` or
# compose.yaml to say. These two win over config.toml.
ENV PATH=/opt/easel/bin:$PATH \
    PYTHONPATH=/easel \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    EASEL_WEB__HOST=0.0.0.0 \
    EASEL_WEB__PORT=8080
VOLUME /data
EXPOSE 8080
USER 10001:10001
# discord.py and fal need outgoing HTTPS only.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD python -m bot check --health "http://127.0.0.1:${EASEL_WEB__PORT}/health"
STOPSIGNAL SIGTERM
# Exec form: python is process 1 and gets the signal itself.
ENTRYPOINT ["python", "-m", "bot"]
CMD ["run"]
