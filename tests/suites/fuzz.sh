#!/bin/bash
# fuzz: each parser survives any bytes, for a short while; tests/fuzz/corpus/NAME is where it starts from.
# seconds-max: 420
#
# MQ_FUZZ_SECONDS: how long each fuzzer runs (default 15, together never over 140).
set -uo pipefail
passed=0 failed=0

cmake --preset fuzz >/dev/null && cmake --build --preset fuzz --target fuzzers || {
    echo "suite fuzz: 0 passed, 1 failed, 0 skipped"
    exit 1
}
shopt -s nullglob
sources=(tests/fuzz/fuzz_*.c)
each=${MQ_FUZZ_SECONDS:-15}
if [[ ${#sources[@]} -gt 0 && $((each * ${#sources[@]})) -gt 140 ]]; then each=$((140 / ${#sources[@]})); fi
echo "seed $MQ_SEED"
for source in "${sources[@]}"; do
    name=$(basename "$source" .c)
    mkdir -p "$MQ_TMP/$name" # new inputs go there, not into the corpus
    corpus=(tests/fuzz/corpus/"${name#fuzz_}" tests/fuzz/corpus/"$name")
    found=()
    for folder in "${corpus[@]}"; do [[ ! -d $folder ]] || found+=("$folder"); done
    if "build/fuzz/$name" "$MQ_TMP/$name" "${found[@]}" -max_total_time="$each" -seed=$((MQ_SEED % 4294967295)) \
        -rss_limit_mb=1024 -timeout=10 -print_final_stats=1 -verbosity=0 -print_funcs=0 -artifact_prefix="$MQ_TMP/"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "$name: FAILED; the input, in base64:"
        for artifact in "$MQ_TMP"/{crash,leak,timeout,oom}-*; do base64 "$artifact" | head -n 50; done
    fi
done
echo "suite fuzz: $passed passed, $failed failed, 0 skipped"
[[ $failed -eq 0 ]]
