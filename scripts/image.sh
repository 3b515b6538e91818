#!/usr/bin/env bash
# Builds the container images with docker, buildah or podman, the first of them that works here: NAME with ffmpeg, and NAME with
# -lean behind its tag without. Arguments go to the tool:
#
#   scripts/image.sh --build-arg BASE_IMAGE=registry.example/debian:bookworm-slim
#
# IMAGE is the image's name (pushcart), VERSION its version (from git), TOOL chooses the tool, ONLY=lean or ONLY=full builds one of the
# two. The time in them is that of the commit, so that the same sources, and for the full image the same packages, give the same image.
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

time=$(git log -1 --format=%ct 2>/dev/null || echo 0)
# Each has its own way to say what time it is.
case $tool in
  docker) build+=(--build-arg "SOURCE_DATE_EPOCH=$time") ;;
  *) build+=(--timestamp "$time") ;;
esac

make_image() { # target, suffix of the tags, further arguments
  local target=$1 suffix=$2
  shift 2
  "${build[@]}" --build-arg "VERSION=$version" --build-arg "COMMIT=$commit" ${target:+--target "$target"} \
    -t "$image:$tag$suffix" -t "$image:latest$suffix" -f Dockerfile "$@" .
  echo "image: $image:$tag$suffix and $image:latest$suffix are built."
}

[ "${ONLY:-}" = full ] || make_image lean -lean "$@"
[ "${ONLY:-}" = lean ] || make_image "" "" "$@"
echo "Try: ${tool/buildah/podman} run --rm -p 1935:1935 -p 8080:8080 $image"
