#!/bin/sh
# Installs the dicomweb-client of PyPI for tests, pinned, into target/dicomweb-client. Does nothing if
# it is there already, and fails, rather than letting the test be skipped, if it cannot be had.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../../target}
venv=$target/dicomweb-client
if cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
    echo "dicomweb-client: present"
    exit 0
fi
rm -rf "$venv"
mkdir -p "$target"
python3 -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
# Last, so that what broke off is done again.
cp "$here/requirements.txt" "$venv/requirements.txt"
echo "dicomweb-client: installed into $venv"
