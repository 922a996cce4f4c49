#!/bin/bash
# Log, checkpoints and installs on disks that forget: nothing acknowledged is lost; each sync left out is found out.
#
# Every sync site of log, store and data directory in the sources must be one that a test made a no-op; a site that no test covers fails.
set -uo pipefail
cd "$(dirname "$0")/../../.." || exit 1
failed=0
for name in test_log_crash test_store_crash test_data_directory_crash; do
    "$MQ_BUILD/$name" 2>&1 | tee "$MQ_TMP/$name"
    [[ ${PIPESTATUS[0]} -eq 0 ]] || failed=$((failed + 1))
done
# Names of sites as the sources give them; a sync under a name of another kind is caught by the second line.
sites=$(grep -rhoE '"(log|birth|environment|checkpoint|install|data_directory)\.[a-z_.]+"' raft/log*.c storage/*.c node/*.c | tr -d '"' | sort -u)
sites+=" $(grep -rhE 'disk_sync(_dir)?\(|env_sync\(|disk_replace_file\(|record_file_write\(' raft storage node | grep -oE '"[a-z_]+\.[a-z_.]+"' | tr -d '"' | sort -u)"
sites=$(tr ' ' '\n' <<<"$sites" | sort -u)
covered=0 missing=()
for site in $sites; do
    if grep -q "\"$site\"" tests/unit/raft/test_log_crash.c tests/unit/sim/test_store_crash.c \
        tests/unit/sim/test_data_directory_crash.c; then
        covered=$((covered + 1)) && echo "site $site: covered"
    else
        missing+=("$site") && echo "site $site: NOT COVERED"
    fi
done
# The store again with the LMDB of Debian 13 (0.9.31), in a container without anything of this machine but the sources.
debian13() {
    docker version >/dev/null 2>&1 || { said="skipped, no docker daemon here"; return 0; }
    docker/base-image.sh 13 >"$MQ_TMP/image.log" 2>&1 ||
        { said="skipped, the base image could not be made: $(tail -n 1 "$MQ_TMP/image.log")"; return 0; }
    local id code
    id=$(docker create --shm-size 2g -e MQ_SEED -w /src mailquorum-base:13 bash -c 'tools/install-deps.sh build >/dev/null 2>&1 &&
        cmake --preset release >/dev/null && cmake --build --preset release --target test_log_crash test_store_crash test_data_directory_crash >/tmp/log 2>&1 ||
        { tail -n 20 /tmp/log; exit 1; }
        dpkg-query -W liblmdb0 liblmdb-dev | tr "\n" " " && build/release/test_log_crash &&
        build/release/test_store_crash && build/release/test_data_directory_crash')
    tar -c --exclude=./build --exclude=./.git --transform 's,^\.,src,' . | docker cp - "$id:/"
    docker start -a "$id" >"$MQ_TMP/debian13" 2>&1
    code=$?
    docker rm "$id" >/dev/null
    sed 's/^/  debian 13: /' "$MQ_TMP/debian13"
    said="$(grep -oE 'liblmdb0[^[:space:]]*[[:space:]]+[^[:space:]]+' "$MQ_TMP/debian13" | head -n 1 | tr '\t' ' ') $([[ $code -eq 0 ]] && echo passed || echo FAILED)"
    return $code
}
debian13 || failed=$((failed + 1))
echo "crashdisk: $covered sync sites, each found out when it lies; not covered: ${missing[*]:-none}; $failed test programs failed; Debian 13: $said"
[[ $failed -eq 0 && ${#missing[@]} -eq 0 ]]
