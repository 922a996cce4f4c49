#!/bin/bash
# Calls that no file of ours makes, and those that belong to one place only.
source "$(dirname "$0")/lib/house.bash"

mapfile -t files < <(source_files 'base proto storage raft node ctl tests' '*.c' '*.h')
[[ ${#files[@]} -gt 0 ]] || { echo "house banned: no file yet"; exit 77; }

code_of "${files[@]}" | awk '
    # calls(NAMES, FILES, EXCEPT, WHY): in files that match FILES and not EXCEPT none of NAMES is called
    function calls(names, where, except, why) {
        if (file ~ where && (except == "" || file !~ except) && match(text, "(^|[^A-Za-z0-9_.>])(" names ")[ \t]*\\(")) {
            call = substr(text, RSTART, RLENGTH); gsub(/[^A-Za-z0-9_]/, "", call)
            print file ":" number ": " call "(): " why
        }
    }
    {
        text = $0
        file = text; sub(/:.*/, "", file); text = substr(text, length(file) + 2)
        number = text; sub(/:.*/, "", number); text = substr(text, length(number) + 2)
        calls("strcpy|strcat|sprintf|vsprintf|gets|strtok|alloca|atoi|atol|atoll|system|rand|srand|tmpnam|mktemp",
              ".", "", "banned everywhere")
        calls("assert|abort", "^(base|proto|storage|raft|node|ctl)/", "^base/must\\.[ch]$", "our mistakes go through must()")
        calls("time|clock_gettime|gettimeofday|getenv|secure_getenv|random|getrandom|getentropy|drand48|uv_hrtime|uv_now",
              "^(proto|storage|raft)/", "_main\\.c$", "time, chance and environment come as arguments or through tables")
    }' | verdict "${#files[@]}"
