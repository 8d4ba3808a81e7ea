#!/bin/sh
# Installs axe-core, pinned, into target/axe. Does nothing if it is there already, and fails, rather
# than letting the test be skipped, if it cannot be had.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../../target}
axe=$target/axe
if cmp -s "$here/package-lock.json" "$axe/installed.json"; then
    echo "axe-core: present"
    exit 0
fi
rm -rf "$axe"
mkdir -p "$axe"
cp "$here/package.json" "$here/package-lock.json" "$axe/"
npm ci --prefix "$axe" --ignore-scripts --no-audit --no-fund --silent
# Last, so that what broke off is done again.
cp "$here/package-lock.json" "$axe/installed.json"
echo "axe-core: installed into $axe"
