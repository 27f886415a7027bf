# syntax=docker/dockerfile:1
# Two stages: wheels are installed in the first; the second holds only what runs.
FROM python:3.12-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /opt/geotransfer
RUN python -m venv /opt/venv
COPY requirements.txt ./
RUN /opt/venv/bin/pip install --quiet -r requirements.txt
COPY pyproject.toml LICENSE NOTICE README.md app.py ./
COPY geotransfer ./geotransfer
COPY data ./data
RUN /opt/venv/bin/pip install --quiet --no-deps -e .

FROM python:3.12-slim-bookworm
# LightGBM needs the GNU OpenMP library, which slim images lack.
RUN apt-get update \
 && apt-get install -y --no-install-recommends libgomp1 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 10001 geotransfer \
 && install -d -o geotransfer /workspace
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/geotransfer /opt/geotransfer
ENV PATH=/opt/venv/bin:$PATH \
    GEOTRANSFER_WORKSPACE=/workspace \
    GEOTRANSFER_HOST=0.0.0.0 \
    GEOTRANSFER_PORT=8501 \
    NUMBA_CACHE_DIR=/workspace/.numba \
    PYTHONUNBUFFERED=1
WORKDIR /opt/geotransfer
USER geotransfer
VOLUME /workspace
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
ENTRYPOINT ["python", "-m", "geotransfer"]
CMD ["serve"]
