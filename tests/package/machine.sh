#!/bin/sh
# Boots a machine over the files of this one and lets it run inside.sh; what that says is in SHARED/said.
# To be run in a mount namespace of its own: unshare --mount.
#   machine.sh SHARED SCRATCH SECONDS
set -eu
shared=$1
scratch=$2
seconds=$3

mkdir -p "$scratch"
mount -t tmpfs -o size=1g tmpfs "$scratch"
mkdir "$scratch/upper" "$scratch/work" "$scratch/root"
mount -t overlay -o "lowerdir=/,upperdir=$scratch/upper,workdir=$scratch/work" overlay "$scratch/root"

# Nothing of what this machine would start, only our job.
units=$scratch/root/etc/systemd/system
cat >"$units/package-test.service" <<EOF
[Unit]
Requires=basic.target
After=basic.target
SuccessAction=poweroff-force
FailureAction=poweroff-force

[Service]
Type=oneshot
ExecStart=/bin/bash /package/inside.sh
StandardOutput=append:/package/said
StandardError=append:/package/said
EOF
# Images of containers often forbid packages to start services; a clinic's machine does not.
rm -f "$scratch/root/usr/sbin/policy-rc.d"
# The gateway is to be new to this machine.
rm -rf "$scratch/root/var/lib/chiasm-gateway" "$scratch/root/etc/chiasm-gateway"

timeout --kill-after=5 "$seconds" systemd-nspawn --quiet --register=no --keep-unit --private-network \
    --link-journal=no --machine="package-$$" --bind="$shared:/package" --directory="$scratch/root" \
    --boot systemd.unit=package-test.service
