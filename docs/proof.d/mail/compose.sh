#!/bin/bash
# README.md's lab in containers comes up, mail of one data centre is read in the other; six situations three times: nothing lost, right words
set -uo pipefail
export COMPOSE_PROJECT_NAME=mqproof$$
if ! docker version >/dev/null 2>&1; then
    [[ ! -S /var/run/docker.sock ]] || { echo 'there is a Docker socket, but docker does not answer'; exit 1; }
    echo 'there is no Docker here'
    exit 77
fi
down() {
    docker/lab-remove >"$MQ_TMP/down" 2>&1 || { tail -n 8 "$MQ_TMP/down"; return 1; }
    grep '^dockerd keeps' "$MQ_TMP/down" || true
}
end() {
    local code=$?
    trap - EXIT
    down || code=1
    exit "$code"
}
trap end EXIT
trap 'exit 1' TERM INT
fail() { echo "$*"; exit 1; }
until_true() { # SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@" >"$MQ_TMP/last" 2>&1; do
        [[ $SECONDS -lt $end ]] || { cat "$MQ_TMP/last"; return 1; }
        sleep 1
    done
}

echo '-- docker/compose.yml, as either docker-compose reads it'
docker-compose version | head -n 1
docker-compose -f docker/compose.yml config -q || fail 'this docker-compose does not take the file'
docker/base-image.sh 13 || fail 'no Debian 13 to try the file in'
docker run --rm -i -v "$PWD/docker:/lab:ro" mailquorum-base:13 bash -c '
    set -e
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends docker-compose >/dev/null 2>&1
    docker-compose version
    docker-compose -f /lab/compose.yml config -q' || fail "Debian 13's docker-compose does not take the file"

echo '-- the lines of README.md'
mapfile -t lines < <(awk '/^## A lab in containers/ {on = 1; next} /^## / {on = 0} on && /^    / {sub(/^    /, ""); print}' README.md)
[[ ${#lines[@]} -eq 2 ]] || fail "README.md has ${#lines[@]} lines for the lab, not two"
began=$SECONDS
echo "\$ ${lines[0]}"
bash -c "${lines[0]}" >"$MQ_TMP/up" 2>&1 || { tail -n 30 "$MQ_TMP/up"; fail 'the first line failed'; }
echo "\$ ${lines[1]}"
until_true 120 bash -c "${lines[1]}" || fail 'status did not become OK within two minutes'
cat "$MQ_TMP/last"
up=$((SECONDS - began))

echo '-- five messages for anna through the Postfix in beijing, read from a node in shanghai by itself'
until_true 180 docker-compose -f docker/compose.yml exec -T operator test -e /tmp/users-are-there || fail 'the users have no shards'
docker-compose -f docker/compose.yml exec -T postfix-beijing sh -c '
    for i in 1 2 3 4 5; do printf "Subject: message $i\n\nline\n" | sendmail -f sender@elsewhere.example anna@beijing.example; done' ||
    fail 'Postfix takes no mail'
read_there() {
    docker/ctl --node sh2 --local -o json mailbox list anna |
        jq -e '.data.mailboxes[] | select(.name == "INBOX") | (.messages | tonumber) == 5'
}
until_true 180 read_there || fail 'sh2 does not have them'
docker/ctl --node sh2 --local mailbox list anna
down || fail 'README.md says that this removes the lab'

gaps=()
for round in 1 2 3; do
    printf '\n-- docker/failover-test all, round %d of 3\n' $round
    MQ_SEED=$((MQ_SEED % 1000000007 + round)) docker/failover-test all >"$MQ_TMP/round-$round" 2>&1
    code=$?
    cat "$MQ_TMP/round-$round"
    [[ $code -eq 0 ]] || fail "round $round went wrong (exit code $code)"
    grep -q '^failover-test: 6 situations, every acknowledged write is there once' "$MQ_TMP/round-$round" ||
        fail "round $round is not all six"
done
worst() {
    awk -v s="$1" '
        /^SITUATION/ { on = 1; next }
        /^$/ { on = 0 }
        on && $1 == s { gap = $2 > $3 ? $2 : $3; if (gap > most) most = gap }
        END { printf "%s %.1f s", s, most }' "$MQ_TMP"/round-?
}
for situation in leader-killed leader-frozen site-lost link-cut one-way power-cut; do gaps+=("$(worst $situation)"); done
echo
echo "up by README.md's two lines in $up s (images included); six situations three times, nothing acknowledged lost," \
    "copies equal, status said what had happened; worst gaps: $(printf '%s, ' "${gaps[@]}" | sed 's/, $//')"
