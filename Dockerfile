# fairvision on the CPU:  docker build -t fairvision .
# In the folder of the data:  docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" fairvision audit …
FROM python:3.12-slim

RUN pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu torch torchvision

COPY pyproject.toml README.md LICENSE /source/
COPY fairvision /source/fairvision
RUN pip install --no-cache-dir /source && rm -r /source

# Whoever runs it, not root: a name and a home for any user, in which caches may lie.
ENV HOME=/tmp USER=auditor
RUN useradd --create-home auditor
USER auditor
WORKDIR /work
ENTRYPOINT ["fairvision"]
CMD ["--help"]
