#!/bin/bash
# Every message id in the code has a row in docs/messages.md, and every row there an id in the code; so has every finding of the rules.
source "$(dirname "$0")/lib/house.bash"

mapfile -t files < <(source_files 'base proto storage raft node ctl' '*.c' '*.h')
[[ ${#files[@]} -gt 0 ]] || { echo "house messages: no file yet"; exit 77; }
code=$(grep -hoE '\bMQ-[A-Z]+(-[A-Z]+)*\b' "${files[@]}" | sort -u)
rows=$(sed -nE 's/^\| (MQ-[A-Z-]+) \|.*/\1/p' docs/messages.md | sort)
{
    comm -23 <(printf '%s\n' "$code") <(sort -u <<<"$rows") | sed 's/^/docs\/messages.md:1: no row for /'
    comm -13 <(printf '%s\n' "$code") <(sort -u <<<"$rows") | sed 's/^/docs\/messages.md:1: no code says /'
    uniq -d <<<"$rows" | sed 's/^/docs\/messages.md:1: two rows for /'
    [[ ! -f raft/rules/finding.c ]] || sed -n '/finding_name(/,/};/p' raft/rules/finding.c | grep -oE '"[A-Z_]+"' | tr -d '"' |
        while read -r name; do grep -q "^| $name |" docs/messages.md || echo "docs/messages.md:1: no row for $name"; done
} | verdict "${#files[@]}"
