# The image of chief and workers. In a clone of nas_tf:
#   docker build -t registry.example.com/search -f docs/how-to/cluster.Dockerfile .
# With CUDA's libraries for machines whose driver is NVIDIA's: --build-arg EXTRAS=gpu
FROM python:3.11-slim
ARG EXTRAS=serving
COPY . /src
RUN pip install --no-cache-dir --constraint /src/constraints.txt "/src[$EXTRAS]" && rm -r /src
USER 1000:1000
WORKDIR /tmp
CMD ["nas-tf", "doctor"]
