#!/bin/bash
# No function of a room has more than 70 lines between its braces, no file more than 800; a function's brace has
# a line of its own (which is also how this finds them).
source "$(dirname "$0")/lib/house.bash"

mapfile -t files < <(source_files 'base proto storage raft node ctl tests' '*.c' '*.h')
[[ ${#files[@]} -gt 0 ]] || { echo "house length: no file yet"; exit 77; }

awk -v rooms="^($ROOMS)/" -v function_max=70 -v file_max=800 '
    function end_file() {
        if (lines > file_max) print file ":" lines ": the file has " lines " lines, at most " file_max
    }
    FNR == 1 { end_file(); file = FILENAME; open = 0 }
    { lines = FNR }
    FILENAME !~ rooms { next }
    /^[A-Za-z_].*\)[ \t]*\{[ \t]*$/ { print FILENAME ":" FNR ": the brace of a function has its own line" }
    /^\{/ { open = FNR; next }
    /^\}/ {
        if (open && FNR - open - 1 > function_max)
            print FILENAME ":" open ": " name " has " FNR - open - 1 " lines, at most " function_max
        open = 0
    }
    /^[A-Za-z_].*\(/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
    END { end_file() }' "${files[@]}" | verdict "${#files[@]}"
