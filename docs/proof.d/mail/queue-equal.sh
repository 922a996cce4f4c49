#!/bin/bash
# 5,000 messages through two instances of a real Postfix, with deferrals, holds, requeues, deletes, expiries and a postqueue that is cut: items and outcomes equal the log, none closed that lived; 100,000 queued items and the feed's memory
set -uo pipefail
export CLUSTER_BIN=$MQ_BUILD/bin
MQ_TMP=$MQ_TMP/many tests/cluster/queue_said.sh many 100000 | tee "$MQ_TMP/many.out" || exit
MQ_TMP=$MQ_TMP/equal tests/cluster/queue_equal.sh "${1:-5000}" | tee "$MQ_TMP/equal.out" || exit
echo "$(tail -n 1 "$MQ_TMP/equal.out"); $(tail -n 1 "$MQ_TMP/many.out")"
