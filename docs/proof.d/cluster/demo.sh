#!/bin/bash
# ./demo.sh ends with 0 in under three minutes; with a byte of a known record changed in a stopped node's store it names node, shard, index
set -uo pipefail
started=$SECONDS
MQ_DEMO_BIN=$MQ_BUILD/bin ./demo.sh >"$MQ_TMP/demo.out" 2>&1
code=$?
took=$((SECONDS - started))
cat "$MQ_TMP/demo.out"
[[ $code -eq 0 ]] || { echo "demo.sh ended with $code"; exit 1; }
[[ $took -lt 180 ]] || { echo "demo.sh took $took s"; exit 1; }
grep -q 'copies verified from every stored pair: 13, all equal' "$MQ_TMP/demo.out" || { echo "not all 13 copies were verified"; exit 1; }
MQ_DEMO_BIN=$MQ_BUILD/bin ./demo.sh --corrupt >"$MQ_TMP/corrupt.out" 2>&1
code=$?
sed -n '/changed in the store/,$p' "$MQ_TMP/corrupt.out"
grep -q 'changed byte [0-9]* of .*/sh2/' "$MQ_TMP/corrupt.out" || { echo "no byte was changed"; exit 1; }
said=$(grep -E '^FAILED: .*node sh2, shard mail-beijing, index [0-9]+' "$MQ_TMP/corrupt.out")
[[ $code -ne 0 && -n $said ]] || { echo "one byte was changed in sh2's store, and the demo ended with $code without naming it"; exit 1; }
left=$(pgrep -f mqdemo | wc -l)
[[ $left -eq 0 ]] || { echo "$left processes of the demo are left"; exit 1; }
switchover=$(sed -n 's/^  switchover: longest gap between answers: //p' "$MQ_TMP/demo.out")
killed=$(sed -n 's/^  leader killed: longest gap between answers: \([0-9.]* ms\).*/\1/p' "$MQ_TMP/demo.out")
echo "the demo took $took s; all records of both sites equal to Dovecot's when read from the other one; leader killed: $killed without an answer; switchover: $switchover; 13 digests equal and equal to those computed anew; the damaged copy was named (${said#FAILED: })"
