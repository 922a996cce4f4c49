#!/bin/bash
# Apply and rules are functions of what they are given. Starting from their objects, whatever they reach in our own
# code is followed, and each symbol that is not ours must stand in a short list: symbols/rules.txt for raft/rules
# (no memory either), symbols/apply.txt for storage/apply*. A line `boundary FILE` in a list stops the walk there.
source "$(dirname "$0")/lib/house.bash"

[[ -n $BUILD ]] || { echo "house purity: no build folder given"; exit 77; }
mapfile -t objects < <(find "$BUILD" -path '*/mq_*.dir/*' -name '*.c.o' | sort)
checked=0

# walk LIST REGEX: prints violations of the objects whose source path matches REGEX.
walk() {
    nm -A -P -g "${objects[@]}" 2>/dev/null | awk -v start="$2" -v list="$HOUSE/symbols/$1.txt" '
        BEGIN {
            while ((getline line < list) > 0) {
                sub(/#.*/, "", line)
                n = split(line, word, " ")
                if (n == 2 && word[1] == "boundary") boundary[word[2]] = 1
                else if (n) allowed[word[1]] = 1
            }
        }
        {
            object = $1; sub(/:$/, "", object)
            sub(/.*\/mq_[a-z]*\.dir\//, "", object); sub(/\.o$/, "", object)
            objects[object] = 1
            if ($3 == "U" || $3 == "w") uses[object] = uses[object] " " $2
            else home[$2] = object
        }
        END {
            for (object in objects) if (object ~ start) { queue[++tail] = object; from[object] = object }
            while (head < tail) {
                object = queue[++head]
                if (object in boundary) continue
                n = split(uses[object], symbol, " ")
                for (i = 1; i <= n; i++) {
                    s = symbol[i]
                    if (s in allowed || s ~ /^__(asan|ubsan|sanitizer)_/) continue
                    if (s in home) {
                        if (!(home[s] in from)) { from[home[s]] = from[object] " > " home[s]; queue[++tail] = home[s] }
                    } else print object ":1: uses " s ", which is not in symbols/'"$1"'.txt (reached by " from[object] ")"
                }
            }
        }' | sort -u
}

has() { printf '%s\n' "${objects[@]}" | grep -qE "$1"; }

{
    ! has '/mq_raft\.dir/raft/rules/' || walk rules '^raft/rules/'
    ! has '/mq_storage\.dir/storage/apply' || walk apply '^storage/apply'
} >"${TMPDIR:-/tmp}/mailquorum-purity.$$"
checked=$(printf '%s\n' "${objects[@]}" | grep -cE '/raft/rules/|/storage/apply')
mapfile -t found <"${TMPDIR:-/tmp}/mailquorum-purity.$$"
rm -f "${TMPDIR:-/tmp}/mailquorum-purity.$$"
[[ $checked -gt 0 ]] || { echo "house purity: neither apply nor a rule is built"; exit 77; }
if [[ ${#found[@]} -gt 0 ]]; then printf '%s\n' "${found[@]}"; fi | verdict "$checked"
