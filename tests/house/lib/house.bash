# house.bash: what the house tests share. Each is `NAME.sh SOURCE [BUILD]`: it prints one line a violation
# (`file:line: what and which rule`), then how many files it looked at, and exits 1 if there was any.
set -uo pipefail
export LC_ALL=C
SOURCE=${1:?usage: NAME.sh SOURCE [BUILD]}
BUILD=${2:-}
RULE=$(basename "$0" .sh)
HOUSE=$(cd "$(dirname "$0")" && pwd)
ROOMS='base|proto|storage|raft|node|ctl'
cd "$SOURCE" || exit 2

# Our own files below the given folders that match the given names: source_files 'base proto' '*.c' '*.h'
source_files() {
    local folders=() folder names=() pattern
    for folder in $1; do [[ ! -d $folder ]] || folders+=("$folder"); done
    shift
    for pattern in "$@"; do names+=(-o -name "$pattern"); done
    [[ ${#folders[@]} -gt 0 ]] || return 0
    find "${folders[@]}" -type f \( "${names[@]:1}" \) | sort
}

# The violations come on standard input.
verdict() {
    local found
    found=$(cat)
    if [[ -n $found ]]; then
        printf '%s\n' "$found"
        echo "house $RULE: $(wc -l <<<"$found") violations"
        exit 1
    fi
    echo "house $RULE: no violation in $1 files"
    exit 0
}

# Source text without comments and the insides of strings, line numbers kept: `file:line:text`.
code_of() {
    awk '
        FNR == 1 { inside = 0 }
        {
            text = $0; out = ""
            while (text != "") {
                if (inside) {
                    at = index(text, "*/")
                    if (!at) { text = ""; break }
                    text = substr(text, at + 2); inside = 0
                } else if (match(text, /"([^"\\]|\\.)*"|\047([^\047\\]|\\.)*\047|\/\*|\/\//)) {
                    token = substr(text, RSTART, RLENGTH)
                    out = out substr(text, 1, RSTART - 1)
                    text = substr(text, RSTART + RLENGTH)
                    if (token == "/*") inside = 1
                    else if (token == "//") text = ""
                    else out = out "\"\""
                } else { out = out text; text = "" }
            }
            print FILENAME ":" FNR ":" out
        }' "$@"
}
