# shellcheck shell=bash
# cluster.sh: a whole cluster on loopback, for suites, proofs, the bench and the demo. Sourced.
#
#   cluster_init DIR LAYOUT    LAYOUT five (beijing 2, shanghai 2, witness 1; shards mail-beijing, mail-shanghai) or three
#                              (one node a site, one shard `mail`): topology, certificates and configurations in DIR/cluster.
#                              Wants the programs in $CLUSTER_BIN. Sets CLUSTER_DIR and CLUSTER_NODES (names).
#   cluster_set NODE|all SECTION 'key = value' ...   more settings, before a start
#   cluster_start NODE...      as the leader of no session; pid in DIR/cluster/NODE/pid, log beside it
#   cluster_kill NODE...       kill -9, at once for all, and waits until they are gone
#   cluster_stop NODE...       SIGTERM, waits up to 20 s
#   cluster_pid NODE           its pid
#   cluster_address NODE...    host:port,host:port
#   cluster_ctl ...            clusterctl as the administrator
#   cluster_leader SHARD       name of the node that leads it; waits for one, and fails when for 20 s nobody does
#   cluster_wait SECONDS [home]  until every shard is led and every voter is up and follows; home: led from its preferred site
#   cluster_user USER SHARD    assigned, and waits until the shard knows it
#   cluster_links PROXY DIR    before a start: every node dials every other through a link of its own, named FROM-TO, of the link proxy
#   cluster_link LINE...       tells the link proxy, as 'bj1-sh1 cut' or '* heal' (tests/cluster/linkproxy.c)
#   cluster_cleanup            kills what is left (for a trap)
#
# CLUSTER_CA, CLUSTER_CERT, CLUSTER_KEY: the administrator's, for programs of ours.

cluster_free_port() {
    local port tries
    for tries in {1..100}; do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        [[ " ${CLUSTER_PORTS_TAKEN:-} " != *" $port "* ]] || continue
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            CLUSTER_PORTS_TAKEN="${CLUSTER_PORTS_TAKEN:-} $port"
            CLUSTER_PORT=$port
            return 0
        fi
    done
    echo "no free port after $tries tries" >&2
    return 1
}

cluster_topology_() {
    local node site role extra=''
    printf '[cluster]\nname = %s\n\n' "${CLUSTER_NAME:-mail-demo}"
    while read -r node site role; do
        cluster_free_port || return 1
        printf '[node %s]\nsite = %s\nrole = %s\naddress = 127.0.0.1:%s\nsocket = %s/%s/sock\n\n' "$node" "$site" "$role" \
            "$CLUSTER_PORT" "$CLUSTER_DIR" "$node"
    done
    if [[ $1 == five ]]; then
        printf '[shard mail-beijing]\npreference = beijing shanghai\nshared_dict = yes\n\n'
        printf '[shard mail-shanghai]\npreference = shanghai beijing\n\n'
        printf '[directory]\npreference = beijing shanghai\n'
    else
        printf '[shard mail]\npreference = beijing shanghai\nshared_dict = yes\n%s' "$extra"
    fi
}

cluster_init() {
    local dir=$1 layout=$2 nodes
    mkdir -p "$dir" || return 1
    CLUSTER_DIR=$(cd "$dir" && pwd)/cluster
    case $layout in
        five) nodes=$'bj1 beijing data\nbj2 beijing data\nsh1 shanghai data\nsh2 shanghai data\nwit1 witness witness' ;;
        three) nodes=$'bj1 beijing data\nsh1 shanghai data\nsz1 shenzhen data' ;;
        *) echo "cluster_init: five or three, not '$layout'" >&2; return 1 ;;
    esac
    CLUSTER_NODES=$(cut -d' ' -f1 <<<"$nodes" | tr '\n' ' ')
    CLUSTER_NODES=${CLUSTER_NODES% }
    cluster_topology_ "$layout" <<<"$nodes" >"$dir/topology.ini" || return 1
    "$CLUSTER_BIN/clusterctl" init --from "$dir/topology.ini" --out "$CLUSTER_DIR" >"$dir/init.log" 2>&1 || {
        cat "$dir/init.log" >&2
        return 1
    }
    cluster_use "$CLUSTER_DIR"
}

# Points the CLUSTER_ variables at files made before.
cluster_use() {
    CLUSTER_DIR=$1
    CLUSTER_CA=$CLUSTER_DIR/operator/ca.crt CLUSTER_CERT=$CLUSTER_DIR/operator/operator.crt
    CLUSTER_KEY=$CLUSTER_DIR/operator/operator.key
    CLUSTER_CONF=$CLUSTER_DIR/operator/clusterctl.conf
}

cluster_set() {
    local node=$1 section=$2 line
    shift 2
    if [[ $node == all ]]; then
        for node in $CLUSTER_NODES; do cluster_set "$node" "$section" "$@"; done
        return
    fi
    { printf '\n[%s]\n' "$section" && printf '%s\n' "$@"; } >>"$CLUSTER_DIR/$node/mailquorumd.conf"
}

cluster_start() {
    local node
    for node in "$@"; do
        # shellcheck disable=SC2086 # CLUSTER_WRAP: words before the program (strace, valgrind, env)
        ${CLUSTER_WRAP:-} "$CLUSTER_BIN/mailquorumd" --config "$CLUSTER_DIR/$node/mailquorumd.conf" \
            >>"$CLUSTER_DIR/$node/log" 2>&1 </dev/null &
        echo $! >"$CLUSTER_DIR/$node/pid"
        disown $!
    done
}

cluster_pid() { cat "$CLUSTER_DIR/$1/pid" 2>/dev/null; }

cluster_running() { kill -0 "$(cluster_pid "$1")" 2>/dev/null; }

cluster_gone_() {
    local node tries=$1
    shift
    for node in "$@"; do
        while cluster_running "$node"; do
            ((tries-- > 0)) || { echo "$node ($(cluster_pid "$node")) does not end" >&2; return 1; }
            sleep 0.02
        done
        rm -f "$CLUSTER_DIR/$node/pid"
    done
}

cluster_kill() {
    local node pids=()
    for node in "$@"; do cluster_running "$node" && pids+=("$(cluster_pid "$node")"); done
    [[ ${#pids[@]} -eq 0 ]] || kill -KILL "${pids[@]}" 2>/dev/null
    cluster_gone_ 500 "$@"
}

cluster_stop() {
    local node pids=()
    for node in "$@"; do cluster_running "$node" && pids+=("$(cluster_pid "$node")"); done
    [[ ${#pids[@]} -eq 0 ]] || kill -TERM "${pids[@]}" 2>/dev/null
    cluster_gone_ 1000 "$@"
}

cluster_address() {
    local node out=()
    for node in "$@"; do out+=("$(sed -n 's/^listen = //p' "$CLUSTER_DIR/$node/mailquorumd.conf")"); done
    (IFS=, && echo "${out[*]}")
}

cluster_ctl() { "$CLUSTER_BIN/clusterctl" --config "$CLUSTER_CONF" "$@"; }

cluster_leader() {
    local leader end=$((SECONDS + 20))
    while :; do
        leader=$({ cluster_ctl shards -o json 2>/dev/null || true; } | jq -re --arg s "$1" '.data.shards[] | select(.name == $s) | .leader // empty' 2>/dev/null)
        [[ -z $leader ]] || break
        [[ $SECONDS -le $end ]] || return 1
        sleep 0.1
    done
    echo "$leader"
}

# One word: what is still missing, or nothing.
cluster_missing_() {
    cluster_ctl shards -o json 2>/dev/null | jq -r --arg home "$1" '
        [.data.shards[] |
            if .leader == null then "\(.name) has no leader"
            elif .voters_up < .voters then "\(.name): \(.voters_up) of \(.voters) voters"
            elif $home == "home" and .site != .preference[0] then "\(.name) is led from \(.site)"
            else ([.replicas[] | select(.state != null and .state != "ok")] | if length > 0 then "\(.[0].node): \(.[0].state)" else empty end)
            end] | if length == 0 then "nothing" else .[0] end' 2>/dev/null
}

cluster_wait() {
    local seconds=$1 home=${2:-} missing='' end=$((SECONDS + $1))
    while [[ $SECONDS -le $end ]]; do
        missing=$(cluster_missing_ "$home")
        [[ $missing != nothing ]] || return 0
        sleep 0.1
    done
    echo "the cluster is not whole after $seconds s: ${missing:-no answer}" >&2
    return 1
}

cluster_user() {
    local tries said
    for tries in {1..100}; do
        if said=$(cluster_ctl user assign "$1" "$2" 2>&1); then return 0; fi
        sleep 0.1
    done
    echo "user $1 was not assigned to $2 after $tries tries: $said" >&2
    return 1
}

# Each node gets a founding file whose addresses are the proxy's ports: links go by the file, and the identity of the founding stays.
cluster_links() {
    local proxy=$1 dir=$2 from to real args=()
    for from in $CLUSTER_NODES; do
        for to in $CLUSTER_NODES; do
            [[ $from != "$to" ]] || continue
            real=$(cluster_address "$to")
            cluster_free_port || return 1
            args+=("$from-$to=$CLUSTER_PORT:$real")
            # ports have five digits, so the length of the protobuf string stays
            perl -pi -e "s/\Q$real\E/127.0.0.1:$CLUSTER_PORT/g" "$CLUSTER_DIR/$from/founding.pb"
        done
    done
    CLUSTER_LINKS=$dir/control
    "$proxy" --control "$CLUSTER_LINKS" "${args[@]}" >"$dir/proxy.log" 2>&1 &
    CLUSTER_PROXY=$!
    for _ in {1..100}; do
        if grep -q ready "$dir/proxy.log"; then return 0; fi
        sleep 0.1
    done
    echo "the link proxy is not ready" >&2
    return 1
}
cluster_link() { printf '%s\n' "$@" >"$CLUSTER_LINKS"; }

cluster_cleanup() {
    local node
    [[ -z ${CLUSTER_PROXY:-} ]] || kill "$CLUSTER_PROXY" 2>/dev/null
    [[ -n ${CLUSTER_DIR:-} ]] || return 0
    for node in ${CLUSTER_NODES:-}; do
        [[ ! -f $CLUSTER_DIR/$node/pid ]] || kill -KILL "$(cluster_pid "$node")" 2>/dev/null
    done
    return 0
}
