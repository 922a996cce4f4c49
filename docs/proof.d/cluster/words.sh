#!/bin/bash
# what happened is said by its name, in the rules' table of situations and by real processes that lose nodes, sites, links and power
set -uo pipefail
table=$MQ_BUILD/test_rules_situations
[[ -x $table && -x $MQ_BUILD/linkproxy ]] || { echo "no $table: build it first"; exit 1; }
log=$(mktemp) || exit 1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$log" "$tmp"' EXIT

echo "situation: what is found | the headline | what is survived"
"$table" each_situation_is_named_with_its_severity_and_what_is_survived >"$log" 2>&1
rules=$?
sed '/^ok /,$d' "$log"
rows=$(sed '/^ok /,$d' "$log" | grep -c '|')

MQ_BUILD_GCC=$MQ_BUILD MQ_TMP=$tmp timeout 400 tests/suites/words.sh >"$log" 2>&1
processes=$?
cat "$log"
slowest=$(sed -n 's/.*right after \([0-9]*\) ms$/\1/p' "$log" | sort -n | tail -n 1)
echo "$rows situations named by the rules, of real processes: $(tail -n 1 "$log"); the right words came after ${slowest:-?} ms at the latest"
[[ $rules -eq 0 && $processes -eq 0 ]]
