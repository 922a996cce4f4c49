#!/bin/bash
# tls: every way into TLS but the right one, tried with openssl at a node's port: each is refused, its reason stands in the node's log,
# and the node serves on. Then the files a node starts with, the change of certificates while it runs, and what our own clients refuse.
# seconds-max: 240
set -uo pipefail
export LC_ALL=C
CLUSTER_BIN=${MQ_BUILD_ASAN:-build/asan}/bin
source tests/lib/cluster.sh
source tests/lib/suite.sh
server=''

clean_up() {
    cluster_cleanup
    [[ -z $server ]] || kill "$server" 2>/dev/null
}
suite_begin tls clean_up

cluster_init "$MQ_TMP" three || exit 1
read -r first second _ <<<"$CLUSTER_NODES"
list=$MQ_TMP/revoked
echo '# nobody yet' >"$list"
sed -i "/^\[tls\]/a revoked = $list" "$CLUSTER_DIR/$first/mailquorumd.conf"
# shellcheck disable=SC2086 # a list of names
cluster_start $CLUSTER_NODES
check the_cluster_is_whole cluster_wait 60
check a_user_is_there cluster_user alice mail
address=$(cluster_address "$first") log=$CLUSTER_DIR/$first/log
pid=$(cluster_pid "$first")
serves() {
    cluster_running "$first" &&
        timeout 10 "$CLUSTER_BIN/clusterctl" --config "$CLUSTER_CONF" --node "$first" dict set prefs key x --user alice
}

# ---- certificates of every kind ----

C=$MQ_TMP/certificates
mkdir -p "$C"
: >"$C/index.txt"
cat >"$C/ca.conf" <<CONF
[ca]
default_ca = d
[d]
database = $C/index.txt
new_certs_dir = $C
rand_serial = yes
default_md = sha256
policy = p
unique_subject = no
[p]
commonName = optional
CONF
"$CLUSTER_BIN/clusterctl" cert ca init --out "$C/other" --name other >/dev/null 2>&1 || exit 1

# make NAME URIS FROM TO USAGE CA: a certificate C/NAME.crt with its key. URIS: comma-separated; FROM, TO: YYYYMMDD; CA "": by itself.
make() {
    local name=$1 uris=$2 from=$3 to=$4 usage=$5 ca=$6 signed=()
    {
        echo 'basicConstraints = critical,CA:false'
        [[ -z $usage ]] || echo "extendedKeyUsage = $usage"
        [[ -z $uris ]] || echo "subjectAltName = URI:${uris//,/,URI:}"
    } >"$C/$name.ext"
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" -keyout "$C/$name.key" \
        -out "$C/$name.csr" || return 1
    chmod 600 "$C/$name.key"
    if [[ -n $ca ]]; then signed=(-cert "$ca/ca.crt" -keyfile "$ca/ca.key"); else signed=(-selfsign -keyfile "$C/$name.key"); fi
    openssl ca -batch -notext -config "$C/ca.conf" "${signed[@]}" -in "$C/$name.csr" -out "$C/$name.crt" -extfile "$C/$name.ext" \
        -startdate "${from}000000Z" -enddate "${to}000000Z"
}
both=clientAuth,serverAuth admin='mq://operator/eve?role=admin'
soon=$(date -d '+10 days' +%Y%m%d)
certificates() {
    make good "$admin" 20200101 20450101 "$both" "$CLUSTER_DIR/ca" &&
        make soon "$admin" 20200101 "$soon" "$both" "$CLUSTER_DIR/ca" &&
        make stolen 'mq://operator/mallory?role=admin' 20200101 20450101 "$both" "$CLUSTER_DIR/ca" &&
        make expired "$admin" 20200101 20210101 "$both" "$CLUSTER_DIR/ca" &&
        make early "$admin" 20440101 20450101 "$both" "$CLUSTER_DIR/ca" &&
        make foreign "$admin" 20200101 20450101 "$both" "$C/other" &&
        make alone "$admin" 20200101 20450101 "$both" '' &&
        make nameless '' 20200101 20450101 "$both" "$CLUSTER_DIR/ca" &&
        make twofold "$admin,mq://node/$second" 20200101 20450101 "$both" "$CLUSTER_DIR/ca" &&
        make king 'mq://operator/eve?role=king' 20200101 20450101 "$both" "$CLUSTER_DIR/ca" &&
        make website "$admin" 20200101 20450101 serverAuth "$CLUSTER_DIR/ca" &&
        make late-node "mq://node/$first" 20200101 20210101 "$both" "$CLUSTER_DIR/ca" &&
        make other-node "mq://node/$second" 20200101 20450101 "$both" "$CLUSTER_DIR/ca" &&
        make new-node "mq://node/$first" 20200101 20450101 "$both" "$CLUSTER_DIR/ca"
}
check certificates_of_every_kind_are_made certificates

# ---- what comes in ----

# client CERTIFICATE OPTIONS...: openssl s_client that stays if it may: exit code 124 then. "": without a certificate. The node gives
# up after 5 s on who is let in and says no hello.
patience=7
client() {
    local certificate=$1 own=()
    shift
    [[ -z $certificate ]] || own=(-cert "$C/$certificate.crt" -key "$C/$certificate.key")
    timeout "$patience" openssl s_client -connect "$address" -CAfile "$CLUSTER_CA" -no_ign_eof "${own[@]}" "$@" < <(exec sleep 7)
}
refusals() { sed -n 's/.*event=connection.refused .*refused_total=\([0-9]*\).*/\1/p' "$log" | tail -n 1; }

# refused REASON COMMAND...: the node ends the connection that COMMAND makes, and its log gives a reason that matches.
refused() {
    local reason=$1 before lines tries
    shift
    sleep 1.1 # of refusals in one second only the first is written down
    before=$(refusals) lines=$(wc -l <"$log")
    "$@"
    [[ $? -ne 124 ]] || { echo 'it was let in, or left to wait'; return 1; }
    for tries in {1..60}; do
        if [[ $(refusals) != "$before" ]] &&
            tail -n +$((lines + 1)) "$log" | grep -E "event=connection.refused message=MQ-CONNECTION-REFUSED .*text=\".*($reason)"; then
            return 0
        fi
        sleep 0.1
    done
    echo "after $tries looks nothing in the log matches: $reason"
    tail -n +$((lines + 1)) "$log"
    return 1
}
let_in() {
    local patience=2
    client "$@"
    [[ $? -eq 124 ]]
}
speak='-alpn mailquorum-client/1' peer='-alpn mailquorum-peer/1'
# shellcheck disable=SC2086 # two words each
{
    check the_right_certificate_is_let_in let_in good $speak
    check no_certificate refused 'did not return a certificate' client '' $speak
    check an_expired_certificate refused 'certificate has expired' client expired $speak
    check a_certificate_of_tomorrow refused 'not yet valid' client early $speak
    check a_certificate_of_another_CA refused 'unable to get local issuer' client foreign $speak
    check a_certificate_that_signed_itself refused 'self.signed' client alone $speak
    check a_certificate_without_a_name_of_ours refused 'no mq:// name' client nameless $speak
    check a_certificate_with_two_names refused 'more than one mq:// identity' client twofold $speak
    check a_certificate_with_a_role_that_is_none refused 'malformed mq:// name' client king $speak
    check a_certificate_for_servers_only refused 'purpose' client website $speak
    check an_administrator_as_a_peer refused "operator's certificate may not speak mailquorum-peer" client good $peer
    check TLS_1_2 refused 'unsupported protocol|version' client good $speak -tls1_2
    check TLS_1_1 refused 'unsupported protocol|version' client good $speak -tls1_1 -cipher DEFAULT@SECLEVEL=0
    check TLS_1_0 refused 'unsupported protocol|version' client good $speak -tls1 -cipher DEFAULT@SECLEVEL=0
    check a_cipher_that_is_not_ours refused 'no shared cipher' client good $speak -ciphersuites TLS_AES_128_CCM_8_SHA256
    check a_group_that_is_not_ours refused 'no suitable key share|no suitable groups' client good $speak -groups P-521
    check another_protocol_in_ALPN refused 'no application protocol' client good -alpn h2
    check no_ALPN refused 'names no protocol' client good
}
serves_after_them() { [[ $(cluster_pid "$first") -eq $pid ]] && serves; }
check the_node_serves_after_all_of_them serves_after_them

# ---- what TLS 1.3 could be talked into ----

no_session() { # nothing to resume: a second connection is a whole handshake again, with the certificate
    local patience=2
    # shellcheck disable=SC2086
    client good $speak -sess_out "$C/session" | tee "$MQ_TMP/session"
    grep -q 'Verification: OK' "$MQ_TMP/session" && ! grep -q 'Post-Handshake New Session Ticket' "$MQ_TMP/session" && [[ ! -s $C/session ]]
}
check a_session_cannot_be_taken_along no_session

# A ticket and a promise of early data from a server of our own, with a certificate of the cluster.
early_data() {
    local port
    cluster_free_port || return 1
    port=$CLUSTER_PORT
    openssl s_server -accept "127.0.0.1:$port" -cert "$C/new-node.crt" -key "$C/new-node.key" -CAfile "$CLUSTER_CA" \
        -alpn mailquorum-client/1 -early_data -max_early_data 16384 -quiet >"$MQ_TMP/server" 2>&1 </dev/zero &
    server=$!
    for _ in {1..50}; do (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break; sleep 0.1; done
    # shellcheck disable=SC2086
    timeout 3 openssl s_client -connect "127.0.0.1:$port" -CAfile "$CLUSTER_CA" $speak -sess_out "$C/early-session" -ign_eof \
        </dev/null >/dev/null 2>&1
    kill "$server"
    wait "$server" 2>/dev/null
    server=''
    [[ -s $C/early-session ]] || { echo 'openssl gave no ticket'; return 1; }
    head -c 4000 /dev/urandom >"$C/early-bytes"
    # shellcheck disable=SC2086
    client good $speak -sess_in "$C/early-session" -early_data "$C/early-bytes"
}
early_data_refused() { refused 'early data|bad record|decryption failed|record' early_data; }
check early_data early_data_refused
renegotiates() { # s_client says so itself, in TLS 1.3 there is no such message
    # shellcheck disable=SC2086
    timeout 4 openssl s_client -connect "$address" -CAfile "$CLUSTER_CA" -cert "$C/good.crt" -key "$C/good.key" $speak \
        < <(sleep 1; printf 'R\n'; exec sleep 4)
    [[ $? -ne 124 ]]
}
check renegotiation_ends_the_connection renegotiates
changes_keys() {
    # shellcheck disable=SC2086
    timeout 3 openssl s_client -connect "$address" -CAfile "$CLUSTER_CA" -cert "$C/good.crt" -key "$C/good.key" $speak \
        < <(for _ in {1..300}; do printf 'K\n'; done; exec sleep 4)
    serves
}
check three_hundred_changes_of_keys_do_no_harm changes_keys

# ---- bytes that are no TLS, or too much of it ----

# raw PRINTF-FORMAT: these bytes, then nothing more; exit code 124 if the node keeps the connection for 7 s.
# shellcheck disable=SC2059
raw() {
    timeout 7 bash -c 'exec 3<>/dev/tcp/${0%:*}/${0##*:} || exit 1; printf "$1" >&3; cat <&3 | head -c 4096 | od -c | head -n 3' \
        "$address" "$1"
}
check plain_HTTP refused 'http request' raw 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
check plain_SMTP refused 'wrong version number|unknown|packet length' raw 'EHLO mail.example\r\nMAIL FROM:<a@b>\r\n'
check a_record_longer_than_TLS_has refused 'packet length too long|record|length' raw '\x16\x03\x01\xff\xff\x01'
zeros() { printf '\\x00%.0s' $(seq "$1"); }
check a_greeting_longer_than_any refused 'excessive message size' raw "\x16\x03\x01\x01\x00\x01\xff\xff\xff\x03\x03$(zeros 250)"
check SSL_2 refused 'names no protocol|unsupported protocol|version' raw "\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10$(zeros 37)"
check half_a_handshake refused 'no handshake within' raw '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'

# Many who begin and do not go on: they are held for as long as a handshake may take, and nobody else is kept out.
half_open() {
    local fds=() fd i lines
    lines=$(wc -l <"$log")
    for ((i = 0; i < 400; i++)); do
        exec {fd}<>"/dev/tcp/${address%:*}/${address##*:}" || break
        printf '\x16\x03\x01\x02\x00\x01' >&"$fd"
        fds+=("$fd")
    done
    echo "$i half-open connections"
    [[ $i -eq 400 ]] && serves && [[ $(cluster_missing_ '') == nothing ]]
    local ok=$?
    sleep 6
    for fd in "${fds[@]}"; do exec {fd}>&-; done 2>/dev/null
    tail -n +$((lines + 1)) "$log" | grep -m 1 -E 'connection.refused .*(no handshake within|too many)' && return "$ok"
    return 1
}
check four_hundred_half_open_connections_keep_nobody_out half_open

# ---- the files a node starts with ----

# starts_not REASON: the node's configuration is as the caller made it; it ends by itself and says why.
starts_not() {
    timeout 20 "$CLUSTER_BIN/mailquorumd" --config "$MQ_TMP/third.conf" >"$MQ_TMP/third.out" 2>&1
    local code=$?
    cat "$MQ_TMP/third.out"
    [[ $code -ne 0 && $code -ne 124 ]] && grep -qE "$1" "$MQ_TMP/third.out"
}
third_with() { # CRT KEY
    sed "s|^certificate = .*|certificate = $1|; s|^key = .*|key = $2|; s|^data_directory = .*|data_directory = $MQ_TMP/third|" \
        "$CLUSTER_DIR/$first/mailquorumd.conf" >"$MQ_TMP/third.conf"
}
cp "$C/new-node.key" "$C/open.key" && chmod 644 "$C/open.key"
third_with "$C/new-node.crt" "$C/open.key"
check a_key_that_others_may_read_is_not_used starts_not 'mode 0644.*chmod 600'
third_with "$C/new-node.crt" "$C/other-node.key"
check nor_a_key_of_another_certificate starts_not 'does not belong to the certificate'
third_with "$C/late-node.crt" "$C/late-node.key"
check nor_an_expired_certificate starts_not 'certificate has expired'
third_with "$C/other-node.crt" "$C/other-node.key"
check nor_the_certificate_of_another_node starts_not "$second"
third_with "$C/foreign.crt" "$C/foreign.key"
check nor_one_of_another_CA starts_not 'unable to get local issuer'

# ---- while it runs ----

hup() { # the node is told to read again. True when its log has a line of EVENT that matches
    local event=$1 lines tries
    lines=$(wc -l <"$log")
    kill -HUP "$pid"
    for tries in {1..100}; do
        if tail -n +$((lines + 1)) "$log" | grep -E "event=$event"; then return 0; fi
        sleep 0.1
    done
    echo "nothing about $event after $tries looks"
    return 1
}
reload() { # CERTIFICATE EVENT: installed, and the node told so
    local name=$1
    install -m 600 "$C/$name.key" "$CLUSTER_DIR/$first/node.key" && install -m 644 "$C/$name.crt" "$CLUSTER_DIR/$first/node.crt" || return 1
    hup "$2"
}
check an_expired_certificate_is_not_taken_over reload late-node 'tls.reload_refused message=MQ-TLS-FILES.*expired'
check nor_that_of_another_node reload other-node 'tls.reload_refused message=MQ-TLS-NAME'
no_peer_lost() {
    local before
    before=$(cat "$CLUSTER_DIR"/*/log | grep -c 'event=peer.disconnected')
    reload new-node 'tls.reloaded' && serves && [[ $(cat "$CLUSTER_DIR"/*/log | grep -c 'event=peer.disconnected') -eq $before ]]
}
check a_new_certificate_is_and_no_peer_is_lost no_peer_lost
shows_it() {
    local patience=1
    # shellcheck disable=SC2086
    client good $speak >"$MQ_TMP/shown"
    openssl x509 -in "$MQ_TMP/shown" -noout -serial >"$MQ_TMP/serial" && cat "$MQ_TMP/serial" &&
        [[ $(<"$MQ_TMP/serial") == "$(openssl x509 -in "$C/new-node.crt" -noout -serial)" ]]
}
check and_shown_to_who_comes_next shows_it

# ---- a stolen key ----

serial=$(openssl x509 -in "$C/stolen.crt" -noout -serial)
# One connection of the thief's is open when the list is read: it ends, and is named.
revoke() {
    local lines thief code before
    lines=$(wc -l <"$log")
    before=$(cat "$CLUSTER_DIR"/*/log | grep -c 'event=peer.disconnected')
    # shellcheck disable=SC2086
    client stolen $speak >"$MQ_TMP/thief" 2>&1 &
    thief=$!
    for _ in {1..30}; do grep -q 'Verification: OK' "$MQ_TMP/thief" && break; sleep 0.1; done
    echo "$serial # the laptop" >>"$list"
    hup 'tls.reloaded' || return 1
    wait "$thief"
    code=$?
    tail -n +$((lines + 1)) "$log" | grep -E "event=connection.revoked .*certificate of operator mallory with serial number ${serial#*=} is revoked" &&
        [[ $code -ne 124 && $(cat "$CLUSTER_DIR"/*/log | grep -c 'event=peer.disconnected') -eq $before ]]
}
# shellcheck disable=SC2086
{
    check the_key_that_will_be_stolen_is_let_in let_in stolen $speak
    check revoked_it_is_cut_off_and_no_peer_is_lost revoke
    check and_not_let_in_again refused "operator mallory with serial number ${serial#*=} is revoked" client stolen $speak
    check others_of_its_kind_are let_in good $speak
}
misprint() { echo 'stolen.crt' >>"$list"; hup 'tls.reload_refused message=MQ-TLS-FILES.*line 3 is no serial'; }
check a_list_with_a_misprint_is_not_taken_over misprint
# shellcheck disable=SC2086
check and_the_one_before_holds refused 'is revoked' client stolen $speak
own() { openssl x509 -in "$CLUSTER_DIR/$first/node.crt" -noout -serial >"$list"; hup 'tls.reload_refused message=MQ-TLS-FILES.*is revoked by'; }
check nor_one_with_the_certificate_of_the_node_itself own
echo "$serial" >"$list"

# ---- our own, in its last days ----

# of CERTIFICATE: clusterctl with it, as it was asked; what it says on stderr is in $MQ_TMP/warned
of() {
    sed "s|^certificate = .*|certificate = $C/$1.crt|; s|^key = .*|key = $C/$1.key|" "$CLUSTER_CONF" >"$MQ_TMP/own.conf"
    timeout 10 "$CLUSTER_BIN/clusterctl" --config "$MQ_TMP/own.conf" --node "$first" dict set prefs key x --user alice 2>"$MQ_TMP/warned"
}
warns() { of soon && grep -E 'warning: the certificate of operator eve.* expires in 9d' "$MQ_TMP/warned"; }
check clusterctl_warns_of_its_own_certificate_and_does_its_work warns
silent() { of good && [[ ! -s $MQ_TMP/warned ]]; }
check and_says_nothing_while_there_is_time silent

# ---- servers that are none of ours ----

# refuses_server CERTIFICATE REASON OPTIONS...: clusterctl, led to an openssl server
refuses_server() {
    local certificate=$1 reason=$2 code port
    shift 2
    cluster_free_port || return 1
    port=$CLUSTER_PORT
    openssl s_server -accept "127.0.0.1:$port" -cert "$C/$certificate.crt" -key "$C/$certificate.key" -CAfile "$CLUSTER_CA" -Verify 1 \
        -alpn mailquorum-client/1 -quiet "$@" >"$MQ_TMP/server" 2>&1 < <(exec sleep 20) &
    server=$!
    for _ in {1..50}; do (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break; sleep 0.1; done
    timeout 15 "$CLUSTER_BIN/clusterctl" --config "$CLUSTER_CONF" --node "127.0.0.1:$port" status >"$MQ_TMP/said" 2>&1
    code=$?
    kill "$server" 2>/dev/null
    wait "$server" 2>/dev/null
    server=''
    cat "$MQ_TMP/said"
    echo "exit code $code"
    [[ $code -eq 31 || $code -eq 30 ]] && grep -qE "$reason" "$MQ_TMP/said"
}
check our_client_refuses_an_administrator_who_plays_a_node refuses_server good "certificate is not a node's"
check and_an_expired_node refuses_server late-node 'expired'
check and_one_of_another_CA refuses_server foreign 'unable to get local issuer'
check and_TLS_1_2 refuses_server new-node 'protocol version|unsupported protocol|version' -tls1_2

check the_node_is_the_same_process_and_serves serves_after_them
check all_are_in_order cluster_wait 30
# shellcheck disable=SC2086
cluster_stop $CLUSTER_NODES
clean_log() { ! grep -E 'AddressSanitizer|runtime error|must failed' "$CLUSTER_DIR"/*/log; }
check no_sanitizer_had_anything_to_say clean_log
