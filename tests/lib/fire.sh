# shellcheck shell=bash
# fire.sh: what burned, what the report of it says, and whether each line of that is true. Sourced by the demo.
#
#   fire_held CONF USER...   what a Dovecot holds: USER GUID MAILBOX_GUID UID SAVED (seconds since 1970), a line a message
#   fire_listed REPORT       the messages of a report (`report lost-site -o json`) in the first four columns of that
#   fire_position REPORT     seconds since 1970 up to which every store of the lost site has said that all it holds is reported
#   fire_revive DIR AT       a private Dovecot moved from DIR to AT, running there (to be read only)
#   fire_judge BURNT SAVED LISTED POSITION OUT    BURNT, SAVED: what the lost site's and the other stores hold; LISTED: what the
#                            report says. Sets FIRE_LOST (in BURNT and nowhere else), FIRE_LISTED, FIRE_UNLISTED (lost, not listed:
#                            each saved after POSITION), FIRE_MOVED (listed, and expunged by its user since POSITION: not in BURNT any
#                            more). Fails, with the lines in OUT, when a listed message is held elsewhere, or one that is not listed
#                            lies before POSITION

fire_held() {
    local conf=$1 user
    shift
    for user in "$@"; do
        doveadm -c "$conf" -f tab fetch -u "$user" 'guid mailbox-guid uid date.saved.unixtime' mailbox '*' 2>/dev/null |
            awk -F'\t' -v user="$user" 'NR > 1 { print user, $1, $2, $3, $4 }'
    done
}

# GUIDs of messages are bytes to us, shown as hex; Maildir's are text.
fire_listed() {
    jq -r '.data.mailboxes[] | .user as $u | .guid as $g | .messages[] | "\($u) \(.guid) \($g) \(.uid)"' "$1" | awk '
        BEGIN { for (i = 1; i < 256; i++) byte[sprintf("%02x", i)] = sprintf("%c", i) }
        { out = ""; for (i = 1; i < length($2); i += 2) out = out byte[substr($2, i, 2)]; $2 = out; print }'
}

fire_position() {
    jq -re '[.data.windows[] | select(.at_lost_site and .messages != "0") | .reported_up_to | sub("\\.[0-9]+Z$"; "Z") | fromdate] | min' "$1"
}

fire_revive() {
    local from=$1 at=$2 file
    for file in dovecot.conf passwd; do sed -i "s|$from/|$at/|g" "$at/$file" || return 1; done
    rm -rf "$at/run" && mkdir "$at/run" && dovecot -c "$at/dovecot.conf" >"$at/start.log" 2>&1 || { cat "$at/start.log" >&2; return 1; }
}

# Users' messages by GUID: a message that was moved to another mailbox is the same message.
fire_judge() {
    local burnt=$1 saved=$2 listed=$3 position=$4 out=$5
    awk -v burnt="$burnt" -v saved="$saved" -v listed="$listed" -v position="$position" '
        function key(line, f) { split(line, f, " "); at = f[5]; return f[1] " " f[2] }
        BEGIN {
            while ((getline line <saved) > 0) elsewhere[key(line)] = 1
            while ((getline line <burnt) > 0) { k = key(line); if (!(k in elsewhere)) lost[k] = at }
            while ((getline line <listed) > 0) {
                k = key(line); says[k] = 1
                if (k in elsewhere) print "listed, and held elsewhere: " line
            }
            for (k in says) { n_listed++; if (!(k in lost)) moved++ }
            for (k in lost) {
                n_lost++
                if (k in says) continue
                unlisted++
                if (lost[k] < position) print "lost, not listed, and saved at " lost[k] ", before " position ": " k
            }
            printf "counts %d %d %d %d\n", n_lost, n_listed, unlisted, moved
        }' >"$out"
    # shellcheck disable=SC2034 # read by those who source this file
    read -r _ FIRE_LOST FIRE_LISTED FIRE_UNLISTED FIRE_MOVED <<<"$(grep '^counts ' "$out")"
    sed -i '/^counts /d' "$out"
    [[ ! -s $out ]]
}
