#!/bin/bash
# diskfull: when the disk fills, writes are refused with the reason, reads go on, nothing acknowledged is lost, and all resumes when there is space.
# seconds-max: 200
#
# Needs a small file system of its own (a loop mount, else tmpfs): as root only.
set -uo pipefail
export LC_ALL=C
CLUSTER_BIN=${MQ_BUILD_GCC:-build/gcc}/bin
TOOLS=${MQ_BUILD_GCC:-build/gcc}
source tests/lib/cluster.sh
source tests/lib/suite.sh

clean_up() {
    cluster_cleanup
    sleep 0.2
    umount -l "${DISK:-}" 2>/dev/null
    rm -f "$MQ_TMP/image"
}
suite_begin diskfull clean_up

DISK=$MQ_TMP/disk
mkdir -p "$DISK"
small_disk() {
    truncate -s 900M "$MQ_TMP/image" && mkfs.ext4 -q -m 0 -F "$MQ_TMP/image" && mount -o loop "$MQ_TMP/image" "$DISK" && return 0
    mount -t tmpfs -o size=900m none "$DISK"
}
if ! small_disk >/dev/null 2>&1; then
    skip diskfull "no small file system can be mounted here"
    exit 0
fi

cluster_init "$DISK" three || exit 1
cluster_set all raft 'segment_bytes = 4MB' 'log_retain = 16MB' 'checkpoint_interval = 1s'
cluster_set all storage 'reserve_bytes = 16MB'
# shellcheck disable=SC2086 # a list of names
cluster_start $CLUSTER_NODES
check the_cluster_is_whole cluster_wait 30
for user in u1 u2; do check "$user" cluster_user "$user" mail; done
set_it() { cluster_ctl dict set prefs "$1" "$2" --user u1 --timeout 5s; }
get_it() { [[ $(cluster_ctl dict get prefs "$1" --user u1 --timeout 5s) == "$2" ]]; }
check a_write set_it before one
free_mb() { df -Pm "$DISK" | awk 'NR == 2 { print $4 }'; }
within() { # SECONDS COMMAND...: until it succeeds
    local end=$((SECONDS + $1))
    shift
    while ! "$@"; do
        [[ $SECONDS -lt $end ]] || return 1
        sleep 0.2
    done
}

# ---- below the reserve: refused before anything exists ----
leave() { local mb=$(($(free_mb) - $1)); [[ $mb -le 0 ]] || dd if=/dev/zero of="$DISK/ballast.$1" bs=1M count="$mb" status=none; free_mb; }
leave 100 >/dev/null
refused_full() { cluster_ctl dict set prefs full two --user u1 --timeout 5s >"$MQ_TMP/full" 2>&1 && return 1; cat "$MQ_TMP/full"; grep -qE 'NO_SPACE|no space' "$MQ_TMP/full"; }
check below_the_reserve_a_write_is_refused_with_the_reason within 20 refused_full
check reads_go_on get_it before one
check what_was_refused_is_not_there bash -c '! '"$(declare -f cluster_ctl); CLUSTER_BIN=$CLUSTER_BIN CLUSTER_CONF=$CLUSTER_CONF"'; cluster_ctl dict get prefs full --user u1 --timeout 5s'
rm -f "$DISK"/ballast.*
check it_resumes_when_there_is_space within 20 set_it after three
check and_reads_it get_it after three

# ---- full to the last byte, with writes under way ----
"$TOOLS/ledger" --nodes "$(cluster_address $CLUSTER_NODES)" --ca "$CLUSTER_CA" --cert "$CLUSTER_CERT" --key "$CLUSTER_KEY" \
    --users u1,u2 --seconds 25 --rate 800 --workers 48 --links 6 >"$MQ_TMP/ledger.out" 2>&1 &
ledger=$!
sleep 5
dd if=/dev/zero of="$DISK/ballast.all" bs=1M status=none 2>/dev/null
echo "free now: $(free_mb) MB"
sleep 5
check reads_go_on_with_a_full_disk get_it before one
running() { local n; for n in $CLUSTER_NODES; do cluster_running "$n" || { echo "$n has ended"; tail -n 3 "$CLUSTER_DIR/$n/log"; return 1; }; done; }
check no_node_has_ended running
rm -f "$DISK"/ballast.*
whole() { [[ $(cluster_missing_ '') == nothing ]]; }
check all_is_whole_again within 30 whole
check nothing_acknowledged_is_lost_and_nothing_refused_is_there wait "$ledger"
tail -n 12 "$MQ_TMP/ledger.out"
check all_copies_are_equal cluster_ctl verify --deep
