# shellcheck shell=bash
# mail_host.sh: where a script keeps a private Dovecot beside its cluster, and the end of both. Sourced, with dovecot.sh and cluster.sh.
#
#   mail_host_begin NAME [HOOK]   sets HOST: a short directory (unix sockets have 107 bytes) in $MQ_MAIL_TMP or /tmp that Dovecot's users
#                         may enter; the Dovecot belongs into $HOST/d. When the script ends, however it does: HOOK ends what it has
#                         started itself, then the cluster is killed, Dovecot stopped and HOST removed. The exit code stays.

mail_host_begin() {
    MAIL_HOST_HOOK=${2:-}
    HOST=$(mktemp -d "${MQ_MAIL_TMP:-/tmp}/$1.XXXXXX") && chmod 711 "$HOST" || exit 1
    trap mail_host_end_ EXIT
    trap 'exit 1' TERM INT
}

mail_host_end_() {
    trap - EXIT
    [[ -z $MAIL_HOST_HOOK ]] || "$MAIL_HOST_HOOK"
    cluster_cleanup
    [[ ! -f $HOST/d/dovecot.conf ]] || dovecot_stop "$HOST/d"
    rm -rf "$HOST"
}
