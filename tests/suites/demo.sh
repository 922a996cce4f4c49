#!/bin/bash
# The demo, with programs built before: real mail in two sites, a leader killed, a shard moved, every record compared.
# No time is judged here (docs/proof.sh cluster/demo does that).
# seconds-max: 200
set -uo pipefail
MQ_DEMO_BIN=$MQ_BUILD_GCC/bin ./demo.sh
code=$?
if [[ $code -eq 0 ]]; then echo "suite demo: 1 passed, 0 failed, 0 skipped"; else echo "suite demo: 0 passed, 1 failed, 0 skipped"; fi
exit "$code"
