#!/bin/bash
# ./test.sh is green (gcc and clang, ASan and UBSan) in under 30 minutes; two stores fed one log in other batches, with crashes, are equal
set -uo pipefail
started=$SECONDS
./test.sh >"$MQ_TMP/test.out" 2>&1
code=$?
grep -E '^(unit tests|house tests|suite )|FAILED' "$MQ_TMP/test.out"
total=$(tail -n 1 "$MQ_TMP/test.out")
took=$((SECONDS - started))
one=$(grep -ohE '[a-z_]*two_stores[a-z_]*' tests/unit/storage/test_store.c | head -n 1)
"$MQ_BUILD/test_store" "$one" | grep "^ok 1 $one" || { echo "the test of two stores fails"; exit 1; }
[[ $code -eq 0 && $took -lt 1800 ]] || { echo "./test.sh ended with $code after $took s: $total"; exit 1; }
echo "./test.sh: $total, in $took s; two stores fed one log with other batches, crashes and restarts have equal digests"
