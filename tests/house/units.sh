#!/bin/bash
# The service units, as cmake wrote them: how much of the machine they can reach (systemd-analyze security, no daemon needed), that
# they restart what may pass and nothing else, and that a crash leaves no copy of keys on disk. Skipped where systemd-analyze is missing.
source "$(dirname "$0")/lib/house.bash"

units=$BUILD/packaging
[[ -f $units/mailquorumd.service && -f $units/mailfeed.service ]] || { echo "house units: $units has no units"; exit 1; }
command -v systemd-analyze >/dev/null || { echo "house units: skipped, systemd-analyze is missing"; exit 77; }

# exposure UNIT MOST: the level times ten.
exposure() {
    local said level
    said=$(systemd-analyze security --offline=true --no-pager "$units/$1" 2>&1 | sed -n 's/.*exposure level for .*: \([0-9.]*\).*/\1/p')
    level=$(tr -d . <<<"${said:-99.9}")
    [[ $level -le $2 ]] || echo "packaging/systemd/$1.in:1: exposure $said, at most $(($2 / 10)).$(($2 % 10))"
    echo "$1: exposure ${said:-not said}" >&2
}

has() { grep -qxF "$2" "$units/$1" || echo "packaging/systemd/$1.in:1: no line $2"; }
{
    exposure mailquorumd.service 20
    exposure mailfeed.service 40
    for unit in mailquorumd.service mailfeed.service; do
        for line in Type=notify 'RestartPreventExitStatus=64 78' Restart=on-failure TimeoutStopSec=90 LimitCORE=0 NoNewPrivileges=yes; do
            has $unit "$line"
        done
        grep -q '^ConditionPathExists=/.*\.conf$' "$units/$unit" || echo "packaging/systemd/$unit.in:1: it would start without a configuration"
    done
    has mailquorumd.service User=mailquorum
    has mailfeed.service 'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK' # without netlink no postqueue says anything
} | verdict 2
