#!/bin/bash
# Five real processes under load and kill -9, twenty seconds of it: the ledger of every answer agrees with what is there.
# The two minutes of docs/proof.sh cluster/ledger, shorter and with sanitizers: no figure is judged.
# seconds-max: 200
set -uo pipefail
LEDGER_RATE=400 tests/cluster/ledger.sh "$MQ_BUILD_ASAN" 20 5 1 1 "$MQ_TMP"
code=$?
if [[ $code -eq 0 ]]; then echo "suite ledger: 1 passed, 0 failed, 0 skipped"; else echo "suite ledger: 0 passed, 1 failed, 0 skipped"; fi
exit "$code"
