#!/bin/sh
# Prints the base images with their digests, for deploy/.env; compose.yaml and Dockerfile read them:
#
#   sh deploy/pin_images.sh >> deploy/.env
#
# A tag can be moved to another image, a digest cannot. Needs docker and a network.
set -eu
for entry in \
    PYTHON_IMAGE=python:3.12.11-slim-bookworm \
    POSTGRES_IMAGE=postgres:18.4 \
    S3_IMAGE=chrislusf/seaweedfs:4.48
do
    name=${entry%%=*}
    image=${entry#*=}
    digest=$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$image")
    echo "$name=$image@$digest"
done
