#!/bin/sh
# Installs dciodvfy, which checks DICOM objects against the standard, pinned, into
# target/dicom3tools. Does nothing if it is there already, and fails, rather than letting a test be
# skipped, if it cannot be had.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../../target}
venv=$target/dicom3tools
if cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
    echo "dicom3tools: present"
    exit 0
fi
rm -rf "$venv"
mkdir -p "$target"
python3 -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
# Last, so that what broke off is done again.
cp "$here/requirements.txt" "$venv/requirements.txt"
echo "dicom3tools: installed into $venv"
