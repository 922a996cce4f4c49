# shellcheck shell=bash
# dovecot.sh: a private Dovecot (2.3 or 2.4) that touches nothing of the system's: own directories, loopback
# ports, users from a passwd-file. Sourced by test suites and the demo.
#
#   dovecot_start DIR [IMAP_PORT [LMTP_PORT]]   writes DIR/dovecot.conf and starts it; 0 or none: any free port. Sets
#                         DOVECOT_DIR, DOVECOT_CONF, DOVECOT_IMAP_PORT, DOVECOT_LMTP_PORT, DOVECOT_LMTP_SOCKET,
#                         DOVECOT_USERS_FILE (one name a line, what mailfeed's users_file= wants)
#                         With DOVECOT_PUBLIC=yes it has a public namespace Public/ that all users see
#                         With DOVECOT_HINTS=127.0.0.1:PORT it tells mailfeed's `hints` there about each change
#   dovecot_user DIR NAME [PASSWORD]            adds a user (password "secret"); no reload needed
#   dovecot_use DIR       points the DOVECOT_ variables at an instance started before (two sites side by side)
#   dovecot_adm ...       doveadm of the instance DOVECOT_CONF names
#   dovecot_deliver USER [< MESSAGE]            a message on stdin into INBOX, as LMTP delivers it (dovecot-lda)
#   dovecot_kill DIR      kill -9 of the master and all its children, as a fire does
#   dovecot_stop DIR      stops it by its pid, waits until it is gone, removes nothing
#
# Every function returns non-zero and says why on stderr when it cannot do its work. DIR must be short: unix socket
# names have 107 bytes. With root, mail belongs to nobody; without, to the caller.

dovecot_version() { dovecot --version 2>/dev/null | sed 's/^\([0-9]*\.[0-9]*\).*/\1/'; }

dovecot_free_port() {
    local port tries
    for tries in {1..50}; do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return 0
        fi
    done
    echo "no free port after $tries tries" >&2
    return 1
}

dovecot_owner_() {
    if [[ $(id -u) -eq 0 ]]; then
        DOVECOT_MAIL_UID=$(id -u nobody) DOVECOT_MAIL_GID=$(id -g nobody)
        DOVECOT_INTERNAL=dovecot DOVECOT_LOGIN=dovenull
        id -u dovecot >/dev/null 2>&1 || DOVECOT_INTERNAL=nobody
        id -u dovenull >/dev/null 2>&1 || DOVECOT_LOGIN=nobody
    else
        DOVECOT_MAIL_UID=$(id -u) DOVECOT_MAIL_GID=$(id -g)
        DOVECOT_INTERNAL=$(id -un) DOVECOT_LOGIN=$(id -un)
    fi
}

# What both versions understand alike.
dovecot_config_common_() {
    local dir=$1 imap=$2 lmtp=$3 chroot=''
    [[ $(id -u) -eq 0 ]] || chroot='chroot ='
    cat <<CONF
base_dir = $dir/run
state_dir = $dir/state
log_path = $dir/dovecot.log
info_log_path = $dir/dovecot.log
listen = 127.0.0.1
ssl = no
default_internal_user = $DOVECOT_INTERNAL
default_internal_group = $(id -gn "$DOVECOT_INTERNAL")
default_login_user = $DOVECOT_LOGIN
first_valid_uid = 1
first_valid_gid = 1
service imap-login {
  inet_listener imap {
    port = $imap
  }
  inet_listener imaps {
    port = 0
  }
  $chroot
}
service lmtp {
  unix_listener lmtp {
    mode = 0666
  }
  inet_listener lmtp {
    port = $lmtp
  }
}
service anvil {
  $chroot
}
namespace inbox {
  inbox = yes
  separator = /
}
CONF
}

dovecot_config_23_() {
    local dir=$1
    cat <<CONF
protocols = imap lmtp
disable_plaintext_auth = no
mail_location = maildir:~/Maildir
mailbox_list_index = yes
lmtp_save_to_detail_mailbox = no
lda_mailbox_autocreate = yes
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u $dir/passwd
}
userdb {
  driver = passwd-file
  args = username_format=%u $dir/passwd
}
CONF
    if [[ -n ${DOVECOT_HINTS:-} ]]; then
        cat <<CONF
event_exporter mailquorum {
  format = json
  format_args = time-rfc3339
  transport = http-post
  transport_args = http://$DOVECOT_HINTS/
  transport_timeout = 500msec
}
CONF
        dovecot_config_hints_
    else
        echo 'stats_writer_socket_path ='
    fi
}

# A public namespace that every user sees, when DOVECOT_PUBLIC=yes.
dovecot_config_public_() {
    local dir=$1
    [[ ${DOVECOT_PUBLIC:-} == yes ]] || return 0
    printf 'namespace public {\n  type = public\n  prefix = Public/\n  separator = /\n  subscriptions = no\n'
    case $(dovecot_version) in
        2.3) printf '  location = maildir:%s/public:INDEXPVT=~/public\n}\n' "$dir" ;;
        *) printf '  mail_driver = maildir\n  mail_path = %s/public\n  mail_index_private_path = ~/public\n}\n' "$dir" ;;
    esac
}

# Which events say that something of a user has changed; both versions understand it alike.
dovecot_config_hints_() {
    cat <<'CONF'
metric mailquorum_imap {
  exporter = mailquorum
  filter = event=imap_command_finished AND (cmd_name=APPEND OR cmd_name=*STORE OR cmd_name=*EXPUNGE OR cmd_name=*COPY OR cmd_name=*MOVE OR cmd_name=CLOSE OR cmd_name=CREATE OR cmd_name=RENAME OR cmd_name=DELETE OR cmd_name=SUBSCRIBE OR cmd_name=UNSUBSCRIBE)
}
metric mailquorum_delivery {
  exporter = mailquorum
  filter = event=mail_delivery_finished
}
CONF
}

dovecot_config_24_() {
    local dir=$1
    cat <<CONF
protocols {
  imap = yes
  lmtp = yes
}
auth_allow_cleartext = yes
mail_driver = maildir
mail_path = ~/Maildir
mailbox_list_index = yes
lda_mailbox_autocreate = yes
passdb passwd-file {
  passwd_file_path = $dir/passwd
  default_password_scheme = PLAIN
  auth_username_format = %{user}
}
userdb passwd-file {
  passwd_file_path = $dir/passwd
  auth_username_format = %{user}
}
CONF
    if [[ -n ${DOVECOT_HINTS:-} ]]; then
        cat <<CONF
event_exporter mailquorum {
  driver = http-post
  http_post_url = http://$DOVECOT_HINTS/
  http_client_request_absolute_timeout = 500msec
  format = json
  time_format = rfc3339
}
CONF
        dovecot_config_hints_
    fi
}

dovecot_config_() {
    local dir=$1 version
    version=$(dovecot_version)
    case $version in
        2.3)
            dovecot_config_common_ "$@"
            dovecot_config_23_ "$dir"
            ;;
        2.4)
            printf 'dovecot_config_version = %s\ndovecot_storage_version = 2.4.0\n' 2.4.0
            dovecot_config_common_ "$@"
            dovecot_config_24_ "$dir"
            ;;
        *)
            echo "Dovecot 2.3 or 2.4 is needed, found '${version:-none}'. apt install dovecot-imapd dovecot-lmtpd" >&2
            return 1
            ;;
    esac
}

dovecot_use() {
    DOVECOT_DIR=$1 DOVECOT_CONF=$1/dovecot.conf DOVECOT_USERS_FILE=$1/users DOVECOT_LMTP_SOCKET=$1/run/lmtp
    # shellcheck disable=SC2034 # read by those who source this file
    read -r DOVECOT_IMAP_PORT DOVECOT_LMTP_PORT <"$1/ports"
}

dovecot_start() {
    local dir=$1 imap=${2:-0} lmtp=${3:-0} tries
    [[ ${#dir} -le 70 && $dir == /* ]] || { echo "dovecot_start: '$dir' is not absolute, or too long for sockets" >&2; return 1; }
    [[ $imap -ne 0 ]] || imap=$(dovecot_free_port) || return 1
    [[ $lmtp -ne 0 ]] || lmtp=$(dovecot_free_port) || return 1
    dovecot_owner_
    mkdir -p "$dir/run" "$dir/state" "$dir/home" && chmod 755 "$dir" && chmod 711 "$dir/home" || return 1
    [[ $(id -u) -ne 0 ]] || chown "$DOVECOT_MAIL_UID:$DOVECOT_MAIL_GID" "$dir/home"
    if [[ ${DOVECOT_PUBLIC:-} == yes ]]; then
        mkdir -p "$dir/public"
        [[ $(id -u) -ne 0 ]] || chown "$DOVECOT_MAIL_UID:$DOVECOT_MAIL_GID" "$dir/public"
    fi
    touch "$dir/passwd" "$dir/users" "$dir/dovecot.log"
    echo "$imap $lmtp" >"$dir/ports"
    { dovecot_config_ "$dir" "$imap" "$lmtp" && dovecot_config_public_ "$dir"; } >"$dir/dovecot.conf" || return 1
    dovecot_use "$dir"
    dovecot -c "$DOVECOT_CONF" >"$dir/start.log" 2>&1 || { cat "$dir/start.log" >&2; return 1; }
    for tries in {1..100}; do
        if (exec 3<>"/dev/tcp/127.0.0.1/$imap") 2>/dev/null; then return 0; fi
        sleep 0.1
    done
    echo "Dovecot did not answer on port $imap after $tries tries" >&2
    tail -n 20 "$dir/dovecot.log" >&2
    return 1
}

# Homes must be reachable by the mail user; each name on a line of its own in `users` for -F.
dovecot_user() {
    local dir=$1 name=$2 password=${3:-secret}
    dovecot_owner_
    grep -q "^$name:" "$dir/passwd" && return 0
    printf '%s:{PLAIN}%s:%s:%s::%s/home/%s::\n' "$name" "$password" "$DOVECOT_MAIL_UID" "$DOVECOT_MAIL_GID" "$dir" "$name" \
        >>"$dir/passwd"
    echo "$name" >>"$dir/users"
}

dovecot_adm() { doveadm -c "$DOVECOT_CONF" "$@"; }

dovecot_deliver() {
    local lda
    for lda in /usr/lib/dovecot/dovecot-lda /usr/libexec/dovecot/dovecot-lda; do
        [[ -x $lda ]] && { "$lda" -c "$DOVECOT_CONF" -d "$1"; return; }
    done
    echo "dovecot-lda is not installed" >&2
    return 1
}

dovecot_descendants_() {
    local child
    for child in $(cat "/proc/$1/task/"*/children 2>/dev/null); do
        echo "$child"
        dovecot_descendants_ "$child"
    done
}

dovecot_kill() {
    local dir=$1 pid all
    [[ -f $dir/run/master.pid ]] || return 0
    pid=$(<"$dir/run/master.pid")
    kill -STOP "$pid" 2>/dev/null || return 0 # or it starts more of them meanwhile
    all=$(dovecot_descendants_ "$pid")
    # shellcheck disable=SC2086 # a list of pids
    kill -KILL "$pid" $all 2>/dev/null
    rm -f "$dir/run/master.pid"
}

dovecot_stop() {
    local dir=$1 pid tries
    [[ -f $dir/run/master.pid ]] || return 0
    pid=$(<"$dir/run/master.pid")
    kill "$pid" 2>/dev/null || return 0
    for tries in {1..100}; do
        kill -0 "$pid" 2>/dev/null || return 0
        [[ $(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null) != Z* ]] || return 0 # dead; nobody waits for it
        sleep 0.1
    done
    echo "Dovecot $pid did not stop after $tries tries: killed" >&2
    kill -KILL "$pid"
}
