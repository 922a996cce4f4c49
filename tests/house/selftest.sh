#!/bin/bash
# Each house rule finds a violation planted for it, names the place, and is content with the same tree without it.
# (Not sourced from lib/: it makes trees of its own.)
set -uo pipefail
export LC_ALL=C
house=$(cd "$(dirname "$0")" && pwd)
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
passed=0 failed=0

# A small tree that breaks no rule, with two objects where the build would put them.
clean_tree() {
    rm -rf "$top/s" "$top/b"
    mkdir -p "$top"/s/{base,proto,storage,raft/rules,node,ctl,tests/lib} "$top/s/tools"
    cd "$top/s" || exit 2
    printf '/* hold.h */\nvoid hold(void);\n' >base/hold.h
    printf '#include "base/hold.h"\n\n#include <stdio.h>\n\nvoid hold(void)\n{\n    printf("system(1) %%d", 1);\n}\n' >base/hold.c
    printf 'int lag(int a);\n' >raft/rules/lag.h
    printf '#include "raft/rules/lag.h"\n\n#include <string.h>\n\nint lag(int a)\n{\n    return a;\n}\n' >raft/rules/lag.c
    printf 'int apply(void *p);\n' >storage/apply.h
    printf '#include "storage/apply.h"\n\n#include <stdlib.h>\n\nint apply(void *p)\n{\n    free(p);\n    return 0;\n}\n' >storage/apply.c
    printf '#include <lmdb.h>\n' >storage/env.h
    printf '#include <raft.h>\n#include "proto/peer.pb-c.h"\n' >raft/engine.h
    printf '#include <uv.h>\n#include "raft/engine.h"\n#include "storage/env.h"\n' >node/loop.h
}

objects() {
    local source
    for source in raft/rules/lag.c storage/apply.c base/hold.c; do
        mkdir -p "$top/b/mq_${source%%/*}.dir/$(dirname "$source")"
        gcc -std=gnu89 -iquote . -w -c "$source" -o "$top/b/mq_${source%%/*}.dir/$source.o" 2>/dev/null # planted ones may not
    done
}

# finds RULE PLACE: the rule fails and names PLACE.
finds() {
    local said
    objects
    if said=$("$house/$1.sh" "$top/s" "$top/b" 2>&1); then
        echo "$1 does not find the violation in $2"
        failed=$((failed + 1))
    elif ! grep -qE "^$2" <<<"$said"; then
        printf '%s\n' "$said"
        echo "$1 fails, and does not name $2"
        failed=$((failed + 1))
    else
        passed=$((passed + 1))
    fi
    clean_tree
}

content() {
    local said
    objects
    if said=$("$house/$1.sh" "$top/s" "$top/b" 2>&1); then
        passed=$((passed + 1))
    else
        printf '%s\n' "$said"
        echo "$1 is not content with a clean tree"
        failed=$((failed + 1))
    fi
}

plant() { printf '%b\n' "$2" >>"$1"; }

clean_tree
for rule in includes banned length machine purity; do content "$rule"; done

plant storage/env.h '#include "raft/engine.h"';       finds includes 'storage/env.h:2: storage/ may not use raft/'
plant raft/engine.h '#include "storage/env.h"';       finds includes 'raft/engine.h:3: raft/ may not use storage/'
plant base/hold.h '#include "proto/x.h"';             finds includes 'base/hold.h:3:'
plant ctl/a.c '#include "node/loop.h"';               finds includes 'ctl/a.c:1:'
plant base/hold.c '#include "hold.h"';                finds includes 'base/hold.c:9:'
plant raft/log.h '#include <raft.h>';                 finds includes 'raft/log.h:1: <raft.h>'
plant raft/log.h '#include <raft/uv.h>';              finds includes 'raft/log.h:1: <raft/uv.h>'
plant ctl/a.c '#include <uv.h>';                      finds includes 'ctl/a.c:1: <uv.h>'
plant storage/apply.h '#include <lmdb.h>';            finds includes 'storage/apply.h:2: <lmdb.h>'
plant proto/frame.h '#include <openssl/ssl.h>';       finds includes 'proto/frame.h:1: <openssl/ssl.h>'
plant storage/copy.h '#include <pthread.h>';          finds includes 'storage/copy.h:1: <pthread.h>'
plant raft/log.c '#include <fcntl.h>';                finds includes 'raft/log.c:1: <fcntl.h>'
plant raft/rules/lag.c '#include <stdlib.h>';         finds includes 'raft/rules/lag.c:9: <stdlib.h>'
sed -i '1s/.*/#include <stdio.h>/' base/hold.c;       finds includes 'base/hold.c:1: the own header'

plant base/hold.c 'int f(void)\n{\n    return atoi("1");\n}';     finds banned 'base/hold.c:11: atoi'
plant tests/lib/x.c 'void f(void)\n{\n    system("ls");\n}';      finds banned 'tests/lib/x.c:3: system'
plant base/hold.c '/* strcpy(a, b) */ void g(void) { strcpy(a, b); }'; finds banned 'base/hold.c:9: strcpy'
plant raft/engine.c 'int f(void)\n{\n    return time(0);\n}';     finds banned 'raft/engine.c:3: time'
plant node/a.c 'void f(void)\n{\n    assert(1);\n}';              finds banned 'node/a.c:3: assert'
plant base/hold.c '/* strcpy(a, b)\n gets(x) */ // rand()\nint my_system(int a); int b = x.system(3);'; content banned
clean_tree

long() { echo "int $2(void)"; echo '{'; yes '    x++;' | head -n "$1"; echo '}'; }
long 70 fits >>base/hold.c;          content length; clean_tree
long 71 grows >>base/hold.c;         finds length 'base/hold.c:10: grows has 71 lines'
plant base/hold.c 'int f(void) {\n}'; finds length 'base/hold.c:9: the brace'
yes '/**/' | head -n 801 >ctl/a.h;   finds length 'ctl/a.h:801:'

slash=/
plant tools/x.sh "cd ${slash}work/main";                finds machine 'tools/x.sh:1:'
plant base/hold.c "${slash}* ${slash}tmp/build-x *${slash}"; finds machine 'base/hold.c:9:'
plant tools/x.sh "FROM docker.${slash#/}io/debian";     finds machine 'tools/x.sh:1:'

sed -i 's,return a;,return (int)time(0);,' raft/rules/lag.c;             finds purity 'raft/rules/lag.c:1: uses time'
sed -i 's,return a;,return malloc(1) != 0;,' raft/rules/lag.c;           finds purity 'raft/rules/lag.c:1: uses malloc'
sed -i 's,return 0;,return getenv("A") != 0;,' storage/apply.c;          finds purity 'storage/apply.c:1: uses getenv'
sed -i 's,return 0;,hold(); return 0;,' storage/apply.c;                 finds purity 'base/hold.c:1: uses printf'

if command -v clang-format-14 >/dev/null; then
    export MQ_FORMAT_STRICT=1
    clean_tree
    cp "$house/../../.clang-format" .clang-format
    content format
    plant base/hold.c 'int  f( void );';              finds format 'base/hold.c:1: clang-format-14'
fi

echo "house selftest: $passed held, $failed did not"
[[ $failed -eq 0 ]]
