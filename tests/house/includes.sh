#!/bin/bash
# Who may include what: the rooms (README.md, "The house"), and the one place that knows each library.
source "$(dirname "$0")/lib/house.bash"

mapfile -t files < <(source_files 'base proto storage raft node ctl' '*.c' '*.h')
[[ ${#files[@]} -gt 0 ]] || { echo "house includes: no file yet"; exit 77; }

awk '
    BEGIN {
        rooms["base"] = "base"; rooms["proto"] = "base proto"
        rooms["storage"] = "base proto storage"; rooms["raft"] = "base proto raft"
        rooms["node"] = "base proto storage raft node"; rooms["ctl"] = "base proto ctl"
        # header (a regular expression) -> the files that may include it, and the rule in words
        library("uv(/.*)?\\.h", "^node/", "only node/ knows libuv")
        library("lmdb\\.h", "^storage/env(_[a-z_]+)?\\.[ch]$", "only storage/env.* knows LMDB")
        library("raft(/.*)?\\.h", "^raft/(engine|guard)(_[a-z_]+)?\\.[ch]$", "only raft/engine.* and raft/guard.* know libraft")
        library("openssl/.*", "^(proto/tls|ctl/cert)(_[a-z_]+)?\\.[ch]$", "only proto/tls.* and ctl/cert.* know OpenSSL")
        library("protobuf-c/.*", "^(proto|storage|raft|node|ctl)/", "base/ knows no wire format")
        library("xxhash\\.h", "^(storage|raft|node)/", "xxhash belongs to storage/, raft/ and node/")
        library("(jansson|ini)\\.h", "^(node|ctl)/", "jansson and inih belong to node/ and ctl/")
        library("(pthread|threads)\\.h", "^(base|node)/", "threads are behind base/executor")
        library("(fcntl|unistd|poll|time|netdb|sys/(socket|epoll|time|random|mman|un|stat|file)|netinet/.*|arpa/.*)\\.h",
                "^(base|node|ctl)/|^storage/env(_[a-z_]+)?\\.[ch]$|_main\\.c$|^proto/tls(_[a-z_]+)?\\.[ch]$",
                "disk, network and time are reached through tables")
    }
    function library(header, users, why) { header_of[++n] = "^" header "$"; users_of[n] = users; why_of[n] = why }
    function bad(what) { printf "%s:%d: %s\n", FILENAME, FNR, what }
    FNR == 1 {
        room = FILENAME; sub(/\/.*/, "", room)
        first = 1
        own = FILENAME; sub(/\.c$/, ".h", own)
        has_own = FILENAME ~ /\.c$/ && (getline line < own) > 0
        close(own)
    }
    /^[ \t]*#[ \t]*include/ {
        name = $0; sub(/^[ \t]*#[ \t]*include[ \t]*/, "", name)
        quoted = name ~ /^"/
        sub(/^["<]/, "", name); sub(/[">].*/, "", name)
        if (first && has_own && !(quoted && name == own)) bad("the own header comes first: \"" own "\"")
        first = 0
        if (quoted) {
            target = name; sub(/\/.*/, "", target)
            if (name !~ /\//) bad("say where \"" name "\" lives, from the top folder")
            else if (!(target in rooms)) bad("a room may not include \"" name "\"")
            else if ((" " rooms[room] " ") !~ (" " target " ")) bad(room "/ may not use " target "/: \"" name "\"")
            next
        }
        for (i = 1; i <= n; i++)
            if (name ~ header_of[i] && FILENAME !~ users_of[i]) bad("<" name ">: " why_of[i])
        if (FILENAME ~ /^raft\/rules\// && name !~ /^(std(bool|int|def|arg)|string|limits|inttypes)\.h$/)
            bad("<" name ">: a rule sees only data")
    }' "${files[@]}" | verdict "${#files[@]}"
