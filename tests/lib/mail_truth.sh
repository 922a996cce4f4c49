# shellcheck shell=bash
# mail_truth.sh: what Dovecot holds and what a node holds, in the same lines, so that cmp can say whether they are equal. Sourced, with
# dovecot.sh and cluster.sh.
#
#   mail_truth USER...          what doveadm says, sorted
#   mail_record NODE USER...    what that node holds itself (a local read), sorted; fails when it does not answer
#   mail_same DIR SECONDS NODES -- USER...   until each of NODES (one word) holds what doveadm says; else the first differences.
#                               DIR takes the files; sets MAIL_RECORDS, how many lines there are
#
#   mailbox USER GUID UIDVALIDITY UIDNEXT HIGHESTMODSEQ MESSAGES SUBSCRIBED NAME
#   message USER MAILBOX-GUID UID GUID MODSEQ SIZE DATE FLAG...

mail_truth() {
    local user subscribed
    for user in "$@"; do
        subscribed=$(dovecot_adm mailbox list -u "$user" -s '*')
        dovecot_adm -f tab mailbox status -u "$user" 'guid uidvalidity uidnext highestmodseq messages' '*' 2>/dev/null |
            SUBSCRIBED=$subscribed awk -F'\t' -v user="$user" '
            BEGIN { n = split(ENVIRON["SUBSCRIBED"], line, "\n"); for (i = 1; i <= n; i++) s[line[i]] = 1 }
            NR == 1 { for (i = 1; i <= NF; i++) c[tolower($i)] = i; next }
            { print "mailbox", user, $c["guid"], $c["uidvalidity"], $c["uidnext"], $c["highestmodseq"], $c["messages"], ($c["mailbox"] in s) + 0, $c["mailbox"] }'
        dovecot_adm -f tab fetch -u "$user" 'mailbox-guid uid guid modseq size.virtual date.received.unixtime flags' mailbox '*' | awk -F'\t' -v user="$user" '
            NR > 1 {
                n = split($7, f, " "); k = 0
                for (i = 1; i <= n; i++) if (f[i] != "\\Recent") kept[++k] = f[i]
                for (i = 2; i <= k; i++) for (j = i; j > 1 && kept[j - 1] > kept[j]; j--) { t = kept[j]; kept[j] = kept[j - 1]; kept[j - 1] = t }
                words = ""
                for (i = 1; i <= k; i++) words = words " " kept[i]
                print "message", user, $1, $2, $3, $4, $5, $6 words
            }'
    done | sort
}

mail_record() {
    local node=$1 user guid boxes
    shift
    for user in "$@"; do
        boxes=$(cluster_ctl -o json --node "$node" --local mailbox list "$user") || return 1
        for guid in $(jq -r '.data.mailboxes[].guid' <<<"$boxes"); do
            cluster_ctl -o json --node "$node" --local mailbox show "$user" "$guid" --messages | jq -r --arg user "$user" '
                (.data.mailbox | "mailbox \($user) \(.guid) \(.uidvalidity) \(.uidnext) \(.highestmodseq) \(.messages) \(if .subscribed then 1 else 0 end) \(.name)"),
                (.data.mailbox.guid as $box | .data.messages[] | "message \($user) \($box) \(.uid) \(.guid) \(.modseq) \(.size_bytes) \(.internal_date | fromdate)" +
                    ((.flags + .keywords) | sort | map(" " + .) | join("")))' || return 1
        done
    done | awk '
        BEGIN { for (i = 1; i < 256; i++) byte[sprintf("%02x", i)] = sprintf("%c", i) }
        $1 == "message" { out = ""; for (i = 1; i < length($5); i += 2) out = out byte[substr($5, i, 2)]; $5 = out }
        { print }' | sort
}

mail_same() {
    local dir=$1 until=$((SECONDS + $2)) nodes=$3 node
    shift 4
    for node in $nodes; do
        until
            mail_truth "$@" >"$dir/truth"
            mail_record "$node" "$@" >"$dir/record" 2>"$dir/record.err" && cmp -s "$dir/truth" "$dir/record"
        do
            if [[ $SECONDS -ge $until ]]; then
                echo "$node does not hold what doveadm says:"
                diff "$dir/truth" "$dir/record" | head -n 12
                head -n 3 "$dir/record.err"
                return 1
            fi
            sleep 0.5
        done
    done
    MAIL_RECORDS=$(wc -l <"$dir/truth")
}
