#!/bin/bash
# Runs inside a machine that systemd has booted, as its only job, and plays the life of the package:
# install, enrol, read, die, upgrade, downgrade, remove, come back. Every step says what it found; the
# first that is wrong ends it.
#   /package holds old.deb, new.deb, the cloud's program and a print of an instrument
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
data=/var/lib/chiasm-gateway
config=/etc/chiasm-gateway/gateway.toml
key=/etc/chiasm-gateway/spool.key

step() { echo "step: $*"; }
fail() {
    echo "failed: $*"
    journalctl --no-pager -u chiasm-gateway -n 30 || true
    exit 1
}
until_true() { # until_true WHAT COMMAND…
    local what=$1
    shift
    for _ in $(seq 150); do
        if "$@"; then return; fi
        sleep 0.2
    done
    fail "$what"
}
waiting() { # how many documents the spool holds for the cloud
    runuser -u chiasm-gateway -- chiasm-gateway spool status --json |
        sed -n 's/.*"depth": *\([0-9]*\).*/\1/p'
}
waits() { [ "$(waiting)" = "$1" ]; }
is_active() { [ "$(systemctl is-active chiasm-gateway)" = active ]; }
main_pid() { systemctl show -p MainPID --value chiasm-gateway; }
print_once() { cat /package/print.raw >/dev/tcp/127.0.0.1/4001 2>/dev/null; }

step install
apt_says=$(dpkg -i /package/old.deb 2>&1) || fail "dpkg -i: $apt_says"
until_true "the service is not running after the installation" is_active
[ "$(stat -c %U:%a $data)" = chiasm-gateway:700 ] || fail "the spool's folder is not private"
[ "$(stat -c %U:%a $key)" = chiasm-gateway:600 ] || fail "the spool's key is not private"
man -w chiasm-gateway >/dev/null || fail "no manual page"
until_true "the gateway has no spool" test -e $data/spool/spool.sqlite

step security
score=$(systemd-analyze security --no-pager chiasm-gateway | sed -n 's/.*exposure level.*: \([0-9.]*\) .*/\1/p')
echo "security score: $score"
awk -v score="$score" 'BEGIN { exit !(score > 0 && score < 2.0) }' || fail "a score of $score"

step "read an instrument before anybody enrolled"
cat >>$config <<'EOF'

[[link]]
id = "ark"
lane = "lane-1"
driver = "nidek_ark"

[link.tcp_server]
listen = "127.0.0.1:4001"
EOF
runuser -u chiasm-gateway -- chiasm-gateway check-config >/dev/null || fail "the configuration"
systemctl restart chiasm-gateway
until_true "the link does not listen" print_once
until_true "the reading is not in the spool" waits 1

step "kill -9"
before=$(main_pid)
kill -9 "$before"
restarted() { is_active && [ "$(main_pid)" != "$before" ] && [ "$(main_pid)" != 0 ]; }
until_true "the service was not started again" restarted
until_true "the reading did not survive kill -9" waits 1

step upgrade
before=$(main_pid)
dpkg -i /package/new.deb >/dev/null 2>&1 || fail "dpkg -i of the newer package"
until_true "the service was not restarted by the upgrade" restarted
grep -q 'id = "ark"' $config || fail "the upgrade replaced the configuration"
until_true "the reading did not survive the upgrade" waits 1

step downgrade
before=$(main_pid)
dpkg -i --force-downgrade /package/old.deb >/dev/null 2>&1 || fail "dpkg -i of the older package"
until_true "the service was not restarted by the downgrade" restarted
until_true "the reading did not survive the downgrade" waits 1

step remove
dpkg -r chiasm-gateway >/dev/null 2>&1 || fail "dpkg -r"
is_active && fail "the service runs although its package is gone"
[ -e $data/spool/spool.sqlite ] && [ -e $config ] || fail "the removal deleted readings or the configuration"

step "come back"
dpkg -i /package/old.deb >/dev/null 2>&1 || fail "dpkg -i after the removal"
until_true "the service is not running" is_active
until_true "the reading did not survive the removal" waits 1

step "enrol, in the sandbox of the unit"
mkdir -p /tmp/cloud
printf 'data_dir = "/tmp/cloud"\n' >/tmp/cloud.toml
cloud() { /package/chiasm-cloud --config /tmp/cloud.toml "$@"; }
cloud admin tenant add acme --name Acme >/dev/null
cloud admin location add acme main --name Main --time-zone Europe/Berlin >/dev/null
cloud admin lane add acme lane-1 --location main --name "Lane 1" >/dev/null
systemd-run --quiet --unit=cloud /package/chiasm-cloud --config /tmp/cloud.toml serve
claim=$(cloud admin gateway add acme gw-1 --location main --name Desk --json)
code=$(sed -n 's/.*"claim_code": *"\([A-Z0-9-]*\)".*/\1/p' <<<"$claim")
authority=$(sed -n 's/.*"authority_sha256": *"\([0-9a-f]*\)".*/\1/p' <<<"$claim")
enrolled() {
    runuser -u chiasm-gateway -- chiasm-gateway enrol --cloud https://localhost:8443 \
        --authority-sha256 "$authority" --code "$code" >/tmp/enrol.log 2>&1
}
until_true "the gateway cannot enrol" enrolled
systemctl restart chiasm-gateway
until_true "the reading did not reach the cloud" waits 0
is_online() { cloud admin gateway list acme --json | grep -q '"online"'; }
until_true "the cloud does not see the gateway" is_online

step purge
dpkg -P chiasm-gateway >/tmp/purge.log 2>&1 || fail "dpkg -P"
grep -q "is kept" /tmp/purge.log || fail "the purge does not say that the spool is kept"
[ -e $data/spool/spool.sqlite ] || fail "the purge deleted the spool"
[ -e $key ] || fail "the purge deleted the key of the spool that it kept"
[ ! -e $config ] || fail "the purge left the configuration"

echo "all steps are done"
