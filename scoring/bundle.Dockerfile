# The scoring server with one model in it, where nothing can be mounted (App Service). The context is the bundle's folder:
#
#   docker build -f scoring/bundle.Dockerfile --build-arg SCORING=cva-scoring -t caps:3 /opt/models/Caps/versions/3
#
# SCORING is the image of scoring/Dockerfile. .pipelines/scripts/release_image.sh builds both in Azure's registry.
ARG SCORING=cva-scoring:latest
FROM ${SCORING}
COPY . /models
