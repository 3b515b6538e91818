#!/usr/bin/env bash
# Builds the last commit twice, in two folders and with two empty build caches, and compares the programs byte by byte. With the same
# Go version (go.mod names it) and the packages of package-lock.json they are the same, wherever they are built.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
version=$(git describe --tags --always) commit=$(git rev-parse --short HEAD)
for n in one two/deeper; do
  git clone -q --no-hardlinks . "$work/$n/pushcart"
  GOCACHE="$work/cache-${n%%/*}" make -C "$work/$n/pushcart" build "VERSION=$version" "COMMIT=$commit" >"$work/log" 2>&1 || {
    cat "$work/log" >&2
    exit 1
  }
  sha256sum "$work/$n/pushcart/bin/pushcart" | cut -d ' ' -f 1
done | tee "$work/sums"
if [ "$(sort -u "$work/sums" | wc -l)" != 1 ]; then
  echo "reproduce: the two builds differ" >&2
  exit 1
fi
echo "reproduce: both builds of $commit are the same, with $(go version)"
