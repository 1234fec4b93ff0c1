# reunet in a container, not as root. The runs that predict are mounted, not built in.
#
#     docker build -t reunet .                          predict and serve, without a training framework
#     docker build --target train -t reunet-train .     the same with TensorFlow, to train
#
# docs/serving.md says how to start them.

ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN python -m venv /opt/reunet \
    && /opt/reunet/bin/pip install --no-cache-dir --constraint constraints.txt ".[serve,zarr,hdf5]"

FROM build AS build-train
RUN /opt/reunet/bin/pip install --no-cache-dir --constraint constraints.txt ".[serve,zarr,hdf5,tensorflow]"

FROM python:${PYTHON}-slim AS base
RUN useradd --create-home --uid 1000 reunet
ENV PATH=/opt/reunet/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /work
EXPOSE 8000
# Answers only where it serves; `docker run --no-healthcheck` for other verbs.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD \
    ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["reunet"]
CMD ["--help"]

FROM base AS train
COPY --from=build-train /opt/reunet /opt/reunet
USER reunet

FROM base AS predict
COPY --from=build /opt/reunet /opt/reunet
USER reunet
