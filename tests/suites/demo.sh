#!/bin/bash
# The demo, with programs built before: real mail in two sites, a leader killed, a shard moved, every record compared. It is left running,
# and what it says then is tried: each hint names what is there, and what ends it leaves nothing.
# No time is judged here (docs/proof.sh cluster/demo does that).
# seconds-max: 200
set -uo pipefail
export LC_ALL=C
source tests/lib/suite.sh
end=''
clean_up() { [[ -z $end || ! -x $end ]] || "$end"; }
suite_begin demo clean_up

shows() {
    MQ_DEMO_BIN=$MQ_BUILD_GCC/bin ./demo.sh --keep >"$MQ_TMP/demo" || { tail -n 30 "$MQ_TMP/demo"; return 1; }
    end=$(sed -n 's/^ *to end it: //p' "$MQ_TMP/demo")
    [[ -x $end ]]
}
check every_claim_holds shows
hints_are_there() { # each file and each process
    local file
    while read -r file; do [[ -e $file ]] || { echo "$file is not there"; return 1; }; done < <(sed -n '/It is left running/,$p' "$MQ_TMP/demo" | grep -o "${end%/end}/[^ ;:)']*")
    while read -r file; do kill -0 "$(<"$file")" || return 1; done < <(sed -n '/It is left running/,$p' "$MQ_TMP/demo" | grep -o "${end%/end}/[^ ;:)']*/pid")
}
check what_it_names_afterwards_is_there hints_are_there
flagged() { # the hint's two commands
    local conf
    conf=$(sed -n "s/^ *alias clusterctl='[^ ]* --config \\(.*\\)'/\\1/p" "$MQ_TMP/demo")
    doveadm -c "${end%/end}/shanghai/dovecot.conf" flags add -u u01@shanghai.test '\Answered' mailbox INBOX 1 || return 1
    for _ in {1..50}; do
        ! "$MQ_BUILD_GCC/bin/clusterctl" --config "$conf" --node sh2 --local mailbox show u01@shanghai.test INBOX --messages | grep -i answered || return 0
        sleep 0.2
    done
    return 1
}
check a_flag_set_in_the_site_that_is_left_is_seen flagged
ends_all() {
    local dir=${end%/end}
    "$end" || return 1
    [[ ! -e $dir ]] && ! grep -lzF "$dir" /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null
}
check what_ends_it_leaves_nothing ends_all
