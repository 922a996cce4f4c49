# shellcheck shell=bash
# mail_load.sh: people who use mail while something burns: senders over SMTP and readers over IMAP, each one connection that
# stays, each with a ledger of what the server said yes to. Sourced by the demo and suites.
#
#   mail_sender PORT NAME COUNT PAUSE LEDGER ADDRESS...   sends COUNT messages, one to each ADDRESS in turn, PAUSE seconds between;
#                     Message-ID <NAME-I@load.test>. One line in LEDGER for each 250 to the end of data:
#                     EPOCH_MS MESSAGE_ID ADDRESS QUEUE_ID. Ends with the connection, or when told by SIGTERM
#   mail_reader PORT USER PASSWORD COUNT PAUSE LEDGER     COUNT rounds of: flag the newest message, move the oldest to Archive, save
#                     a draft. One line in LEDGER for each OK: EPOCH_MS flag|move|draft UID. Ends as a sender does
#
# Both return 0 when all was said yes to, 1 when the connection ended before; what has no line may have happened or not.

mail_now_() { printf '%s' "${EPOCHREALTIME/[.,]/}" | cut -c1-13; }

# SMTP: reads one reply (its last line in MAIL_REPLY), which must begin with CODE.
mail_reply_() {
    local code=$1 line
    while IFS= read -r -t 30 -u "$MAIL_FD" line; do
        MAIL_REPLY=${line%$'\r'}
        [[ $MAIL_REPLY == ???-* ]] || { [[ $MAIL_REPLY == "$code"* ]]; return; }
    done
    return 1
}
mail_say_() { printf '%s\r\n' "$@" >&"$MAIL_FD"; }

mail_send_one_() {
    local id=$1 address=$2
    mail_say_ 'MAIL FROM:<sender@load.test>' && mail_reply_ 250 || return 1
    mail_say_ "RCPT TO:<$address>" && mail_reply_ 250 || return 1
    mail_say_ DATA && mail_reply_ 354 || return 1
    mail_say_ "From: sender@load.test" "To: $address" "Message-ID: <$id>" "Subject: $id" "Date: $(date -R)" '' "Text of $id." .
    mail_reply_ 250
}

mail_sender() {
    local port=$1 name=$2 count=$3 pause=$4 ledger=$5 i id address
    shift 5
    trap - EXIT
    trap 'exit 1' PIPE TERM
    exec {MAIL_FD}<>"/dev/tcp/127.0.0.1/$port" || return 1
    mail_reply_ 220 && mail_say_ "EHLO $name.load.test" && mail_reply_ 250 || return 1
    for ((i = 1; i <= count; i++)); do
        id=$name-$i@load.test
        address=${*:$(((i - 1) % $# + 1)):1}
        mail_send_one_ "$id" "$address" || return 1
        echo "$(mail_now_) $id $address ${MAIL_REPLY##* }" >>"$ledger"
        sleep "$pause"
    done
    mail_say_ QUIT
}

# IMAP: one command, its untagged lines in MAIL_LINES; false unless it is OK.
mail_imap_() {
    local line
    MAIL_TAG=$((MAIL_TAG + 1)) MAIL_LINES=()
    mail_say_ "a$MAIL_TAG $1"
    while IFS= read -r -t 30 -u "$MAIL_FD" line; do
        line=${line%$'\r'}
        case $line in
            "a$MAIL_TAG OK"*) return 0 ;;
            "a$MAIL_TAG "*) return 1 ;;
            +*) mail_say_ "$2" ;;
            *) MAIL_LINES+=("$line") ;;
        esac
    done
    return 1
}

mail_uids_() {
    mail_imap_ 'UID SEARCH ALL' || return 1
    MAIL_UIDS=()
    local line
    for line in "${MAIL_LINES[@]}"; do
        # shellcheck disable=SC2206 # words
        [[ $line != '* SEARCH'* ]] || MAIL_UIDS=(${line#\* SEARCH})
    done
}

mail_reader() {
    local port=$1 user=$2 password=$3 count=$4 pause=$5 ledger=$6 i draft uid
    trap - EXIT
    trap 'exit 1' PIPE TERM
    MAIL_TAG=0
    exec {MAIL_FD}<>"/dev/tcp/127.0.0.1/$port" || return 1
    IFS= read -r -t 30 -u "$MAIL_FD" _ && mail_imap_ "LOGIN $user $password" || return 1
    mail_imap_ 'CREATE Archive'
    mail_imap_ 'CREATE Drafts'
    mail_imap_ 'SELECT INBOX' || return 1
    for ((i = 1; i <= count; i++)); do
        mail_uids_ || return 1
        if [[ ${#MAIL_UIDS[@]} -gt 1 ]]; then
            uid=${MAIL_UIDS[-1]}
            mail_imap_ "UID STORE $uid +FLAGS (\\Flagged)" || return 1
            echo "$(mail_now_) flag $uid" >>"$ledger"
            uid=${MAIL_UIDS[0]}
            mail_imap_ "UID MOVE $uid Archive" || return 1
            echo "$(mail_now_) move $uid" >>"$ledger"
        fi
        draft="Subject: draft $i of $user"$'\r\n\r\n'"unfinished"
        mail_imap_ "APPEND Drafts (\\Draft) {${#draft}}" "$draft" || return 1
        echo "$(mail_now_) draft $i" >>"$ledger"
        sleep "$pause"
    done
    mail_imap_ LOGOUT
}
