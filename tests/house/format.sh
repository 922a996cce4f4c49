#!/bin/bash
# .clang-format holds. Judged only by the version it was settled with (14, Debian 12's): others format differently.
# MQ_FORMAT_STRICT=1 turns files that differ from a report into a failure.
source "$(dirname "$0")/lib/house.bash"

command -v clang-format-14 >/dev/null || { echo "house format: no clang-format-14 here"; exit 77; }
mapfile -t files < <(source_files 'base proto storage raft node ctl tests' '*.c' '*.h')
[[ ${#files[@]} -gt 0 ]] || { echo "house format: no file yet"; exit 77; }

differ=$(for file in "${files[@]}"; do
    clang-format-14 "$file" | cmp -s - "$file" || echo "$file:1: clang-format-14 would change it"
done)
if [[ -n $differ && -z ${MQ_FORMAT_STRICT:-} ]]; then
    printf '%s\n' "$differ"
    echo "house format: reported only"
    exit 77
fi
{ [[ -z $differ ]] || printf '%s\n' "$differ"; } | verdict "${#files[@]}"
