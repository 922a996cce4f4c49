#!/bin/bash
# queue: mail through a real Postfix whose postqueue is cut at random: the cluster's items and outcomes are Postfix' own. And the same
# from the journal, with programs that say what they are told. And what rights it takes to read a queue without being root.
# seconds-max: 240
set -uo pipefail
export CLUSTER_BIN=${CLUSTER_BIN:-$MQ_BUILD_ASAN/bin}
MQ_TMP=${MQ_TMP:-$(mktemp -d)}
passed=0 failed=0 skipped=0
echo "seed ${MQ_SEED:-1}"
run() {
    MQ_TMP=$MQ_TMP/$1 "${@:2}"
    case $? in
        0) passed=$((passed + 1)) ;;
        77) skipped=$((skipped + 1)) ;;
        *) failed=$((failed + 1)) ;;
    esac
}
run rights tests/cluster/queue_rights.sh
if command -v jq >/dev/null; then
    run equal tests/cluster/queue_equal.sh 300
    run journal tests/cluster/queue_said.sh journal
else
    skipped=2
    echo "skip queue: jq is needed"
fi
echo "suite queue: $passed passed, $failed failed, $skipped skipped"
[[ $failed -eq 0 ]]
