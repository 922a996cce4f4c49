#!/bin/bash
# queue_rights: a feed that is not root reads a queue with the groups that quickstart.md names, and without them it does not: under
# NoNewPrivileges= postqueue's set-group-id is void. Ends with 77 where there is no Postfix or no root.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2
. tests/lib/postfix.sh
postfix_available || exit 77
D=$(mktemp -d /tmp/mqrights.XXXXXX)
chmod 711 "$D"
trap 'postfix_stop "$D/mx1"; rm -rf "$D"' EXIT

groups=$(sed -n 's/.*`SupplementaryGroups=\([a-z ]*\)`.*/\1/p' docs/quickstart.md)
[[ -n $groups ]] || { echo "quickstart.md names no groups"; exit 1; }
postfix_start "$D/mx1" && postfix_closed_port && postfix_route "$D/mx1" closed.test "smtp:[127.0.0.1]:$POSTFIX_CLOSED_PORT" || exit 1
printf 'Subject: waits\n\nbody\n' | postfix_send "$D/mx1" a@example.org b@closed.test || exit 1
postfix_wait_idle "$D/mx1" 30 || exit 1
log=$D/log
install -m 640 -g adm /dev/null "$log" && echo line >"$log"

# as_feed GROUPS: as the unit runs with User= of somebody else and CapabilityBoundingSet=.
as_feed() {
    setpriv --reuid nobody --regid nogroup "$1" --no-new-privs --inh-caps=-all --bounding-set=-all \
        bash -c 'postqueue -c "$0" -j && cat "$1"' "$POSTFIX_CONF" "$log" 2>&1
}
said=$(as_feed "--groups=${groups// /,}")
[[ $said == *'"b@closed.test"'*line ]] || { echo "FAILED with the groups $groups it cannot read: $said"; exit 1; }
said=$(as_feed --clear-groups)
[[ $said == *denied* ]] || { echo "FAILED without them it should not be able to: $said"; exit 1; }
echo "with $groups the queue and the log are read, without them neither"
