#!/bin/bash
# compose: the images, the lab of docker/compose.yml, and two of the situations of docker/failover-test (all six: docs/proof.sh mail/compose).
# Without Docker it is skipped; where there is a Docker socket that is a failure.
# seconds-max: 480
set -uo pipefail
export LC_ALL=C
source tests/lib/suite.sh
export MAILQUORUM_TAG=suite$$

clean_up() {
    docker version >/dev/null 2>&1 || return
    docker image rm "mailquorum-node:$MAILQUORUM_TAG" "mailquorum-lab:$MAILQUORUM_TAG" >/dev/null 2>&1
    docker image prune -f --filter "label=mailquorum.tag=$MAILQUORUM_TAG" >/dev/null 2>&1
}
suite_begin compose clean_up

# ---- without Docker, as failover-test itself says it ----
without_docker() { # WHERE CODE: docker looks there for its daemon
    DOCKER_HOST=unix://$1 docker/failover-test leader-killed
    [[ $? -eq $2 ]]
}
says_skipped_and_why() { without_docker "$MQ_TMP/none" 77 && grep -q '^skipped: there is no Docker here' "$MQ_TMP/out"; }
check without_Docker_it_says_skipped_and_why says_skipped_and_why
socket=$MQ_TMP/deaf
perl -MSocket -e 'socket(S, PF_UNIX, SOCK_STREAM, 0) && bind(S, sockaddr_un($ARGV[0])) or die $!' "$socket"
check a_socket_where_nobody_answers_is_no_reason_to_skip without_docker "$socket" 1

# Machines with a Docker and without jq: what stands before the question runs with this PATH.
without_jq() {
    mkdir "$MQ_TMP/path"
    ln -s "$(type -P dirname)" "$(type -P sed)" "$MQ_TMP/path"
    ln -s "$(type -P true)" "$MQ_TMP/path/docker"
    ln -s "$(type -P true)" "$MQ_TMP/path/docker-compose"
    ! PATH=$MQ_TMP/path /bin/bash docker/failover-test leader-killed && grep -q 'apt-get install jq' "$MQ_TMP/out"
}
check without_jq_failover_test_says_what_to_install without_jq

if ! docker version >/dev/null 2>&1 && [[ ! -S /var/run/docker.sock ]]; then
    skip compose 'there is no Docker here'
    exit 0
fi

# ---- with it ----
check the_images_are_made docker/build --prebuilt "${MQ_BUILD_GCC:-build/gcc}" node lab
as_nobody() { [[ $(docker run --rm --network none "mailquorum-node:$MAILQUORUM_TAG" id -u) == 65532 ]]; }
check nothing_runs_as_root as_nobody
no_compiler() { ! docker run --rm --network none "mailquorum-node:$MAILQUORUM_TAG" sh -c 'command -v gcc cmake make'; }
check and_no_compiler_is_in_them no_compiler
check situations docker/failover-test --no-mail leader-killed one-way
cat "$MQ_TMP/out"
