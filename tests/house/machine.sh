#!/bin/bash
# Nothing in the repository knows the machine it was written on: no path of it, no package or image registry (the
# installer takes the mirror from apt's configuration), no key or certificate left lying about.
source "$(dirname "$0")/lib/house.bash"

files() {
    if git rev-parse --is-inside-work-tree >/dev/null 2>&1 && [[ -z $(git rev-parse --show-prefix) ]]; then
        git ls-files --cached --others --exclude-standard
    else
        find . -path ./build -prune -o -path ./.git -prune -o -type f -print | sed 's,^\./,,'
    fi
}
mapfile -t files < <(files | while read -r file; do [[ ! -f $file ]] || printf '%s\n' "$file"; done)

# A letter in brackets keeps this file from finding itself.
{ grep -nHIE \
    -e '/wor[k]/[a-z.]' -e '/tmp/[b]uild-' -e '/tmp/[b]ash_jobs' -e '/home/[a-z]+/' -e '/roo[t]/' \
    -e '(deb|snapshot|security)\.[d]ebian\.org|[p]ypi\.org|files\.[p]ythonhosted|registry\.[n]pmjs|[d]ocker\.io' \
    -e '[g]hcr\.io|[q]uay\.io|[g]cr\.io|pkg\.[d]ev|proxy\.[g]olang\.org|crates\.[i]o' \
    -e 'BEGIN [A-Z ]*PRIVATE [K]EY' \
    -- "${files[@]}" /dev/null || true; } | sed -E 's/^([^:]*:[0-9]+):(.{0,100}).*/\1: names this machine or a registry: \2/' |
    verdict "${#files[@]}"
