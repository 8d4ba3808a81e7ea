#!/bin/sh
# Makes the Debian package of the gateway from a program that is already built.
#
#   build-package.sh target/release/chiasm-gateway OUT_DIR [VERSION]
#
# The architecture is that of the machine; on arm64 the same command makes the arm64 package (see
# docs/operations.md). Needs debhelper.
set -eu
if [ $# -lt 2 ]; then
    sed -n '2,7p' "$0" >&2
    exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
program=$1
out=$2
version=${3:-$(sed -n 's/^version = "\(.*\)"/\1/p' "$here/../../Cargo.toml" | head -n 1)}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
source=$work/chiasm-gateway
mkdir -p "$source/example" "$out"
cp -r "$here/debian" "$source/debian"
cp "$program" "$source/chiasm-gateway"
cp "$here/gateway.toml" "$source/gateway.toml"
cp "$here/example-gateway.toml" "$source/example/gateway.toml"
cp "$here/chiasm-gateway.service" "$source/debian/chiasm-gateway.service"
cp "$here/60-chiasm-gateway.rules" "$source/debian/chiasm-gateway.udev"
sed -e "s/@VERSION@/$version/" -e "s/@DATE@/$(date -R)/" "$source/debian/changelog.in" \
    >"$source/debian/changelog"
rm "$source/debian/changelog.in"
(cd "$source" && dpkg-buildpackage --build=binary --unsigned-changes --no-check-builddeps) \
    >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
cp "$work"/chiasm-gateway_*.deb "$out/"
ls "$out"/chiasm-gateway_"$version"_*.deb
