#!/bin/bash
# 1,000 random IMAP operations a run on a real Dovecot (2.3 or 2.4 here, 2.4 in Debian 13): the other site's nodes hold what Dovecot says
#
# Three seeds, each with Dovecot's hints, without them, and with feed and nodes killed at random. Full synchronisations are counted.
# OPS and SEEDS make it shorter. In a container of Debian 13 the same with its Dovecot, built and run inside.
set -uo pipefail
cd "$(dirname "$0")/../../.." || exit 1
. tests/lib/dovecot.sh
OPS=${OPS:-1000}
seeds=("$((MQ_SEED % 1000003))" "$(((MQ_SEED / 7) % 1000003))" "$(((MQ_SEED / 49) % 1000003))")
[[ -z ${SEEDS:-} ]] || read -ra seeds <<<"$SEEDS"
runs=0 failed=0 operations=0 records=0 full=0 most=0 feeds=0 nodes=0

# take FILE: adds up what the last lines of runs say.
take() {
    local line
    while IFS= read -r line; do
        [[ $line =~ :\ ([0-9]+)\ operations.*,\ ([0-9]+)\ records.*,\ ([0-9]+)\ full\ synchronisations\ of\ at\ most\ ([0-9]+).*feed\ killed\ ([0-9]+)\ times,\ nodes\ ([0-9]+) ]] || continue
        runs=$((runs + 1)) operations=$((operations + BASH_REMATCH[1])) records=$((records + BASH_REMATCH[2]))
        full=$((full + BASH_REMATCH[3])) most=$((most + BASH_REMATCH[4])) feeds=$((feeds + BASH_REMATCH[5])) nodes=$((nodes + BASH_REMATCH[6]))
    done <"$1"
}

all_runs() { # BUILD DIR
    local seed mode code=0
    for seed in "${seeds[@]}"; do
        for mode in plain nohints killed; do
            MQ_SEED=$seed tests/cluster/imap_equal.sh "$1" five "$OPS" "$mode" "$2/$mode-$seed" || code=1
            rm -rf "$2/$mode-$seed"
        done
    done
    return $code
}

if [[ ${1:-} == runs-only ]]; then # inside the container
    all_runs "$2" "$3"
    exit
fi
echo "seeds ${seeds[*]}, Dovecot $(dovecot --version)"
all_runs "$MQ_BUILD" "$MQ_TMP" 2>&1 | tee "$MQ_TMP/here"
[[ ${PIPESTATUS[0]} -eq 0 ]] || failed=1
take "$MQ_TMP/here"
here="Dovecot $(dovecot_version): $runs runs"

debian13() {
    local id code before=$runs
    docker version >/dev/null 2>&1 || { there="Debian 13 skipped, no docker daemon here"; return 0; }
    docker/base-image.sh 13 >"$MQ_TMP/image.log" 2>&1 ||
        { there="Debian 13 skipped, the base image could not be made: $(tail -n 1 "$MQ_TMP/image.log")"; return 0; }
    id=$(docker create --shm-size 1g -e "OPS=$OPS" -e "SEEDS=${seeds[*]}" -e MQ_SEED -e MQ_TMP=/tmp/out -e MQ_MAIL_TMP=/dev/shm -w /src mailquorum-base:13 bash -c '
        mkdir /tmp/out && { tools/install-deps.sh build && tools/install-deps.sh demo; } >/tmp/deps 2>&1 || { tail -n 20 /tmp/deps; exit 1; }
        cmake --preset release >/dev/null && cmake --build --preset release --target mailquorumd mailfeed clusterctl imap_random >/tmp/log 2>&1 ||
        { tail -n 20 /tmp/log; exit 1; }
        echo "Dovecot $(dovecot --version)" && docs/proof.d/mail/imap-equal.sh runs-only build/release /tmp/out')
    tar -c --exclude=./build --exclude=./.git --transform 's,^\.,src,' . | docker cp - "$id:/"
    docker start -a "$id" 2>&1 | tee "$MQ_TMP/debian13" | sed 's/^/  debian 13: /'
    code=$(docker wait "$id")
    docker rm "$id" >/dev/null
    take "$MQ_TMP/debian13"
    there="Debian 13's $(sed -n 's/^Dovecot \([0-9.]*\).*/Dovecot \1/p' "$MQ_TMP/debian13" | head -n 1): $((runs - before)) runs"
    return "$code"
}
debian13 || failed=1
[[ $runs -gt 0 ]] || failed=1
echo "imap-equal: $here; $there; seeds ${seeds[*]}: $operations operations, $records records equal on the other site's nodes, $full full synchronisations of at most $most, feed killed $feeds times and nodes $nodes times; $([[ $failed -eq 0 ]] && echo 'nothing differed' || echo 'SOMETHING FAILED')"
[[ $failed -eq 0 ]]
