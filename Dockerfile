# reunet in a container, not as root. The runs that predict are mounted, not built in.
#
#     docker build -t reunet .                          predict and serve, without a training framework
#     docker build --target train -t reunet-train .     the same with TensorFlow, to train
#
# docs/serving.md says how to start them.

ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build-tools
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src

FROM build-tools AS build
# Bytecode is made of what serving imports, not of everything; pip has done its work.
RUN python -m venv /opt/reunet \
    && /opt/reunet/bin/pip install --no-cache-dir --no-compile --constraint constraints.txt ".[serve]" \
    && /opt/reunet/bin/python -c "import reunet.server.app, reunet.server.running, openvino, cv2, tifffile, scipy.ndimage" \
    && /opt/reunet/bin/pip uninstall --yes pip setuptools

FROM build-tools AS build-train
RUN python -m venv /opt/reunet \
    && /opt/reunet/bin/pip install --no-cache-dir --constraint constraints.txt ".[serve,tensorflow,zarr,hdf5]"

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
