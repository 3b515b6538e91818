#!/usr/bin/env bash
# Builds the container image with docker, buildah or podman, the first of them that works here. Arguments go to the tool:
#
#   scripts/image.sh --build-arg BASE_IMAGE=registry.example/debian:bookworm-slim
#
# IMAGE is the image's name (pushcart), VERSION its version (from git), TOOL chooses the tool.
set -euo pipefail
cd "$(dirname "$0")/.."

# usable says whether a tool is there; docker's client alone is no use without an engine.
usable() {
  command -v "$1" >/dev/null || return 1
  [ "$1" != docker ] || docker version --format '{{.Server.Version}}' >/dev/null 2>&1
}

tool=${TOOL:-}
if [ -z "$tool" ]; then
  for candidate in docker buildah podman; do
    if usable "$candidate"; then tool=$candidate; break; fi
  done
fi
[ -n "$tool" ] || {
  echo "image: no docker engine answers, and neither buildah nor podman is there: install one of them, then try again." >&2
  exit 1
}

# The image's own format is docker's, because OCI's has no health check and the others would leave it out.
case $tool in
  docker) build=(docker build) ;;
  buildah) build=(buildah bud --layers --format docker) ;;
  podman) build=(podman build --format docker) ;;
  *) echo "image: TOOL is $tool, but must be docker, buildah or podman" >&2; exit 2 ;;
esac

image=${IMAGE:-pushcart}
version=${VERSION:-$(git describe --tags --always --dirty 2>/dev/null || echo dev)}
commit=$(git rev-parse --short=12 HEAD 2>/dev/null || true)
# A tag may not have the + of a version's build part.
tag=${version//+/-}

"${build[@]}" --build-arg "VERSION=$version" --build-arg "COMMIT=$commit" \
  -t "$image:$tag" -t "$image:latest" -f Dockerfile "$@" .
echo "image: $image:$tag and $image:latest are built. Try: ${tool/buildah/podman} run --rm -p 1935:1935 -p 8080:8080 $image"
