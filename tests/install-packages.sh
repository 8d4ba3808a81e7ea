#!/bin/sh
# Installs the Debian packages that building and testing need. Does nothing if all are there, and
# fails, rather than letting tests be skipped, if one cannot be had.
set -eu

missing=""
need() { # need PACKAGE PROGRAM…: one of the programs must be there
    package=$1
    shift
    for program in "$@"; do
        if PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v "$program" >/dev/null 2>&1; then
            return
        fi
    done
    missing="$missing $package"
}

# Ubuntu calls the browser and its driver otherwise.
browser=chromium
driver=chromium-driver
if grep -q '^ID=ubuntu' /etc/os-release 2>/dev/null; then
    browser=chromium-browser
    driver=chromium-chromedriver
fi

need gcc cc
need libc6-dev cc
need mosquitto mosquitto
need iproute2 tc
# Not by storescu: pynetdicom has a program of that name.
need dcmtk dcmdump
need npm npm
need "$browser" chromium chromium-browser
need "$driver" chromedriver
need dcmtk storescp
# The gateway's own package is built, checked, and installed on a machine that is booted for it.
need debhelper dh
need bash-completion dh_bash-completion
need lintian lintian
need systemd-container systemd-nspawn
if ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
    need postgresql initdb
fi
if ! python3 -c 'import ensurepip, venv' >/dev/null 2>&1; then
    missing="$missing python3-venv"
fi

if [ -z "$missing" ]; then
    echo "test packages: all present"
    exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
    echo "these programs are missing and there is no apt-get to install them:$missing" >&2
    exit 1
fi

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "run this as root, or install sudo: apt-get install$missing" >&2
        exit 1
    fi
    as_root="sudo"
fi
echo "test packages: installing$missing"
$as_root apt-get update -q
# shellcheck disable=SC2086 # the list is meant to be split
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
