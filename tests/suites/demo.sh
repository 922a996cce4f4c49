#!/bin/bash
# The demo, with programs built before: real mail in two sites, a leader killed, a shard moved, every record compared. It is left running,
# and what it says then is tried: each hint names what is there, and what ends it leaves nothing.
# No time is judged here (docs/proof.sh cluster/demo does that). Without root it is skipped, as Postfix would be.
# seconds-max: 200
set -uo pipefail
export LC_ALL=C
source tests/lib/suite.sh
end=''
clean_up() { [[ -z $end || ! -x $end ]] || "$end"; }
suite_begin demo clean_up

# A copy in a folder that anybody may enter: what it needs beyond this is not there.
without_root() {
    local folder code
    folder=$(mktemp -d)
    install -m 755 demo.sh "$folder/demo.sh"
    chmod 755 "$folder"
    if [[ $(id -u) -eq 0 ]]; then setpriv --reuid 65534 --regid 65534 --clear-groups "$folder/demo.sh"; else "$folder/demo.sh"; fi
    code=$?
    rm -r "$folder"
    [[ $code -eq 77 ]] && grep -q 'by root only: sudo ./demo.sh' "$MQ_TMP/out"
}
check without_root_it_says_what_to_do_before_it_does_anything without_root

if [[ $(id -u) -ne 0 ]]; then
    skip the_demo 'its Postfix and Dovecot need root'
    exit 0
fi

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
