#!/bin/bash
# Random IMAP operations on a real Dovecot, read from the other site's node: 75 with Dovecot's hints, 75 without and with feed and nodes killed.
# docs/proof.sh mail/imap-equal, shorter and with sanitizers.
# seconds-max: 280
set -uo pipefail
. tests/lib/dovecot.sh
if [[ ! $(dovecot_version) =~ ^2\.[34]$ ]] || ! command -v jq >/dev/null; then
    echo "skip imapequal: Dovecot 2.3 or 2.4 and jq are needed"
    echo "suite imapequal: 0 passed, 0 failed, 1 skipped"
    exit 0
fi
echo "seed ${MQ_SEED:=1}"
export MQ_SEED
passed=0 failed=0
for mode in plain killed; do
    if PAUSE_MS=80 tests/cluster/imap_equal.sh "$MQ_BUILD_ASAN" three 75 "$mode" "$MQ_TMP/$mode"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
echo "suite imapequal: $passed passed, $failed failed, 0 skipped"
[[ $failed -eq 0 ]]
