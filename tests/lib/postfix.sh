# shellcheck shell=bash
# postfix.sh: private Postfix instances that touch nothing of the system's: own configuration, queue, data and log
# directory each, a loopback port, no user, no alias and no file of the system's. Sourced by suites, proofs and the demo.
#
#   postfix_start DIR [SMTP_PORT]    writes DIR/etc and starts it; 0 or none: any free port. Its mail is routed by the transport
#                         map alone, and what that does not name is deferred. Sets POSTFIX_DIR, POSTFIX_CONF (config directory),
#                         POSTFIX_PORT, POSTFIX_LOG, POSTFIX_QUEUE. Set before: POSTFIX_EXTRA='key = value' lines for main.cf
#   postfix_route DIR DOMAIN NEXTHOP where mail for DOMAIN goes; again for a DOMAIN: from now on there. NEXTHOP as in transport(5):
#                         lmtp:inet:127.0.0.1:PORT, lmtp:unix:SOCKET, smtp:[127.0.0.1]:PORT, error:..., retry:..., discard:
#   postfix_closed_port   a port of loopback where nobody listens (in POSTFIX_CLOSED_PORT)
#   postfix_use DIR       points the POSTFIX_ variables at an instance started before (two sites side by side)
#   postfix_send DIR FROM TO... < MESSAGE      by SMTP, one recipient or more; answers 0 when the end of data got a 250
#   postfix_source DIR FROM TO COUNT [SESSIONS]      many small messages by smtp-source, to one recipient
#   postfix_ids DIR [STATE]          queue ids, of one state (active, deferred, hold, incoming, maildrop) or all
#   postfix_wait_idle DIR SECONDS    until nothing is active or incoming: what is left is deferred or held
#   postfix_super DIR ARGUMENTS...   postsuper of the instance (-h, -H, -r, -d, ...; ids as `-` on stdin)
#   postfix_flush DIR     tries everything that is deferred now
#   postfix_sink_start DIR [PORT [OPTIONS...]]      smtp-sink that swallows mail (-f rcpt: bounces it, -r rcpt: defers it); sets
#                         POSTFIX_SINK_PORT; pid in DIR/sink.pid
#   postfix_sink_stop DIR
#   postfix_kill DIR      kill -9 of the master and all its children, as a fire does
#   postfix_stop DIR      stops it by the pid of its master, waits until it is gone, removes nothing
#
# Every function returns non-zero and says why on stderr when it cannot do its work. Root is needed (Postfix's own rule). DIR
# must be short: unix socket names have 107 bytes. Instances are named by the last part of DIR in their logs (postfix-NAME).

postfix_available() {
    [[ $(id -u) -eq 0 ]] || { echo "Postfix needs root" >&2; return 1; }
    command -v postfix >/dev/null && command -v smtp-sink >/dev/null && getent group postdrop >/dev/null && return 0
    echo "Postfix is not installed. apt install postfix" >&2
    return 1
}

# Not one that this shell has been given before, or cluster.sh has: a port that nobody listens on yet looks free twice.
postfix_free_port_() {
    local port tries
    for tries in {1..100}; do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        [[ " ${POSTFIX_PORTS_TAKEN:-} ${CLUSTER_PORTS_TAKEN:-} " != *" $port "* ]] || continue
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            POSTFIX_PORTS_TAKEN="${POSTFIX_PORTS_TAKEN:-} $port"
            POSTFIX_FREE_PORT=$port
            return 0
        fi
    done
    echo "no free port after $tries tries" >&2
    return 1
}

postfix_closed_port() {
    postfix_free_port_ || return 1
    # shellcheck disable=SC2034 # read by those who source this file
    POSTFIX_CLOSED_PORT=$POSTFIX_FREE_PORT
}

postfix_main_cf_() {
    local dir=$1 name=$2
    cat <<CONF
compatibility_level = 3.6
queue_directory = $dir/queue
data_directory = $dir/data
maillog_file = $dir/log/mail.log
maillog_file_prefixes = $dir
multi_instance_name = $name
multi_instance_enable = yes
myhostname = $name.test
mydestination =
local_transport = error:5.1.1 no local mail here
local_recipient_maps =
alias_maps =
alias_database =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtp_host_lookup = native
default_transport = retry:4.4.1 this route is not given
relay_transport = \$default_transport
transport_maps = texthash:$dir/etc/transport
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_limit = 10000
smtpd_client_connection_rate_limit = 0
smtpd_client_connection_count_limit = 0
disable_vrfy_command = yes
enable_long_queue_ids = yes
biff = no
append_dot_mydomain = no
smtp_dns_support_level = disabled
smtp_connect_timeout = 5s
maximal_backoff_time = 4000s
minimal_backoff_time = 300s
queue_run_delay = 300s
in_flow_delay = 0s
${POSTFIX_EXTRA:-}
CONF
}

postfix_master_cf_() {
    cat <<CONF
127.0.0.1:$1 inet n - n - 100 smtpd
pickup    unix  n - n 2 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
lmtp      unix  - - n - - lmtp
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
local     unix  - n n - - local
virtual   unix  - n n - - virtual
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
CONF
}

postfix_use() {
    POSTFIX_DIR=$1 POSTFIX_CONF=$1/etc POSTFIX_LOG=$1/log/mail.log POSTFIX_QUEUE=$1/queue
    POSTFIX_PORT=$(<"$1/port")
}

postfix_pid_() { tr -d ' \n' <"$1/queue/pid/master.pid" 2>/dev/null; }

postfix_start() {
    local dir=$1 port=${2:-0} tries
    postfix_available || return 1
    [[ ${#dir} -le 70 && $dir == /* ]] || { echo "postfix_start: '$dir' is not absolute, or too long for sockets" >&2; return 1; }
    if [[ $port -eq 0 && -f $dir/port ]]; then port=$(<"$dir/port"); fi # as before
    if [[ $port -eq 0 ]]; then
        postfix_free_port_ || return 1
        port=$POSTFIX_FREE_PORT
    fi
    mkdir -p "$dir/etc" "$dir/queue" "$dir/data" "$dir/log" && chmod 755 "$dir" "$dir/etc" "$dir/log" && chown postfix "$dir/data" || return 1
    touch "$dir/etc/transport" "$dir/etc/dynamicmaps.cf" "$dir/log/mail.log"
    echo "$port" >"$dir/port"
    postfix_main_cf_ "$dir" "postfix-$(basename "$dir")" >"$dir/etc/main.cf"
    postfix_master_cf_ "$port" >"$dir/etc/master.cf"
    postfix_use "$dir"
    postfix -c "$POSTFIX_CONF" start >"$dir/log/start.log" 2>&1 || { tail -n 20 "$dir/log/start.log" "$POSTFIX_LOG" >&2; return 1; }
    for tries in {1..200}; do
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then return 0; fi
        sleep 0.05
    done
    echo "Postfix did not answer on port $port after $tries tries" >&2
    tail -n 20 "$POSTFIX_LOG" >&2
    return 1
}

# texthash: is read when a process begins, so those that have read it are told to end when they are idle.
postfix_route() {
    local dir=$1 domain=$2 nexthop=$3
    { grep -v "^$domain " "$dir/etc/transport"; echo "$domain $nexthop"; } >"$dir/etc/transport.new"
    mv "$dir/etc/transport.new" "$dir/etc/transport"
    [[ -z $(postfix_pid_ "$dir") ]] || postfix -c "$dir/etc" reload >/dev/null 2>&1
}

# swaks is not everywhere; SMTP by hand is ten lines.
postfix_send() {
    local dir=$1 from=$2 to reply
    shift 2
    exec 9<>"/dev/tcp/127.0.0.1/$(<"$dir/port")" || return 1
    postfix_say_() {
        [[ -z $1 ]] || printf '%s\r\n' "$1" >&9
        while IFS= read -r -t 60 reply <&9; do
            [[ $reply == ???-* ]] || break
        done
        [[ $reply == [23]* ]] && return 0
        echo "Postfix said '${reply%$'\r'}' to '$1'" >&2
        exec 9>&-
        return 1
    }
    postfix_say_ '' && postfix_say_ 'EHLO localhost' && postfix_say_ "MAIL FROM:<$from>" || return 1
    for to in "$@"; do postfix_say_ "RCPT TO:<$to>" || return 1; done
    postfix_say_ DATA || return 1
    sed -e 's/\r$//' -e 's/^\./../' -e 's/$/\r/' >&9
    postfix_say_ . || return 1
    printf 'QUIT\r\n' >&9
    exec 9>&-
}

postfix_source() {
    local dir=$1 from=$2 to=$3 count=$4 sessions=${5:-8}
    smtp-source -m "$count" -s "$sessions" -l 300 -f "$from" -t "$to" "127.0.0.1:$(<"$dir/port")"
}

postfix_ids() {
    postqueue -c "$1/etc" -j | sed -nE "s/^\{\"queue_name\": \"(${2:-[a-z]+})\", \"queue_id\": \"([^\"]+)\".*/\2/p"
}

postfix_wait_idle() {
    local dir=$1 until=$((SECONDS + $2)) busy
    while :; do
        busy=$(postqueue -c "$dir/etc" -j 2>/dev/null | grep -cE '^\{"queue_name": "(active|incoming|maildrop)"')
        [[ $busy -ne 0 ]] || return 0
        [[ $SECONDS -lt $until ]] || { echo "$busy messages are still active after $2 s" >&2; return 1; }
        sleep 0.1
    done
}

postfix_super() {
    local dir=$1
    shift
    postsuper -c "$dir/etc" "$@"
}

postfix_flush() { postqueue -c "$1/etc" -f; }

postfix_sink_start() {
    local dir=$1 port=${2:-0} tries
    if [[ $port -eq 0 ]]; then
        postfix_free_port_ || return 1
        port=$POSTFIX_FREE_PORT
    fi
    mkdir -p "$dir"
    smtp-sink -u postfix "${@:3}" "127.0.0.1:$port" 1000 >"$dir/sink.log" 2>&1 &
    echo $! >"$dir/sink.pid"
    disown $!
    # shellcheck disable=SC2034 # read by those who source this file
    POSTFIX_SINK_PORT=$port
    for tries in {1..100}; do
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then return 0; fi
        sleep 0.05
    done
    echo "smtp-sink did not answer on port $port after $tries tries" >&2
    cat "$dir/sink.log" >&2
    return 1
}

postfix_sink_stop() {
    [[ ! -f $1/sink.pid ]] || kill "$(<"$1/sink.pid")" 2>/dev/null
    rm -f "$1/sink.pid"
}

# Waits until no process of the instance is left: the master, and what it started.
postfix_gone_() {
    local dir=$1 group=$2 tries
    for tries in {1..200}; do
        kill -0 -- "-$group" 2>/dev/null || { rm -f "$dir/queue/pid/master.pid"; return 0; }
        sleep 0.05
    done
    echo "Postfix $group did not stop after $tries tries: killed" >&2
    kill -KILL -- "-$group"
}

# The master leads a process group of its own (it was started by `postfix start`), its children are in it.
postfix_kill() {
    local pid
    pid=$(postfix_pid_ "$1")
    [[ -n $pid ]] && kill -0 "$pid" 2>/dev/null || return 0
    kill -KILL -- "-$pid"
    postfix_gone_ "$1" "$pid"
}

postfix_stop() {
    local pid
    pid=$(postfix_pid_ "$1")
    [[ -n $pid ]] && kill -0 "$pid" 2>/dev/null || return 0
    kill -TERM "$pid"
    postfix_gone_ "$1" "$pid"
}
