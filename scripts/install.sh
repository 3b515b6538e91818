#!/usr/bin/env bash
# Installs the Debian or Ubuntu packages named on the command line that are missing, and says what else is needed.
set -euo pipefail

missing=()
for package in "$@"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done

for tool in go node npm; do
  command -v "$tool" >/dev/null || {
    echo "This needs $tool. Install Go 1.26 (https://go.dev/dl) and Node.js 20 or later (https://nodejs.org), then try again." >&2
    exit 1
  }
done

[ ${#missing[@]} -eq 0 ] && exit 0
command -v apt-get >/dev/null || {
  echo "Please install: ${missing[*]} (this script knows apt-get only), then try again." >&2
  exit 1
}
sudo=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "Run as root, or install by hand: ${missing[*]}" >&2; exit 1; }
  sudo=(sudo)
fi
echo "Installing ${missing[*]}"
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
