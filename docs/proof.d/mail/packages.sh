#!/bin/bash
# docs/quickstart.md run verbatim on fresh Debian 12 (three nodes) and 13 (five), with systemd where containers can have it; purge asks first
#
# packages.sh [12|13|all]. Machines are containers on one network: `admin`, the nodes, and `mx1` with a Dovecot of Debian's. Nothing is
# prepared beyond what the quickstart asks for: names, ssh as root, a Dovecot with two users. MQ_NO_SYSTEMD=1: as if no systemd could
# start; then a systemctl of a few lines starts the units' ExecStart= by hand, as the unit's user. MQ_PACKAGES=DIR: packages that section 1
# made before, on the release asked for; it is left out then, and the verdict says so.
set -uo pipefail
export LC_ALL=C
cd "$(dirname "$0")/../../.." || exit 1
command -v docker >/dev/null && docker version >/dev/null 2>&1 || { echo "no docker daemon here"; exit 77; }
docker/base-image.sh all || { echo "the base images could not be made"; exit 77; }

RUN=mqq$$ MACHINES=() SAID=() SKIPPED='' failed=0

cleanup() {
    local machine
    for machine in "${MACHINES[@]}"; do docker rm -f "$RUN-$machine" >/dev/null 2>&1; done
    docker network rm "$RUN" >/dev/null 2>&1
    MACHINES=()
}
trap cleanup EXIT
trap 'exit 1' INT TERM

fail() { echo "DOES NOT HOLD: $*"; failed=$((failed + 1)); return 1; }
holds() { echo "holds: $*"; }
# on MACHINE COMMAND: in its shell, as root.
on() { docker exec -i "$RUN-$1" bash -c "$2"; }
# eventually SECONDS COMMAND...
eventually() {
    local until=$((SECONDS + $1))
    shift
    until "$@" >"$MQ_TMP/tried" 2>&1; do
        [[ $SECONDS -lt $until ]] || { cat "$MQ_TMP/tried"; return 1; }
        sleep 1
    done
}

# ---- machines ------------------------------------------------------------------------------------------------------

# A Debian with what an administrator's machine has: systemd and sshd; mx1 has Dovecot too. They stay for the next run.
images() {
    local packages='systemd systemd-sysv dbus openssh-server openssh-client ca-certificates' kind
    for kind in machine mailhost; do
        [[ $kind == machine ]] || packages+=' dovecot-core dovecot-imapd'
        docker build -q -t "mailquorum-$kind:$1" - >/dev/null 2>"$MQ_TMP/image.log" <<END || { tail -n 5 "$MQ_TMP/image.log"; return 1; }
FROM mailquorum-base:$1
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $packages >/dev/null && \
    rm -rf /var/lib/apt/lists/* && rm -f /etc/ssh/ssh_host_*
END
    done
}

# machine NAME IMAGE: with systemd as its first process if $SYSTEMD says so.
machine() {
    local options=(--name "$RUN-$1" --hostname "$1" --network "$RUN" --network-alias "$1" --tmpfs /run:exec --tmpfs /run/lock --tmpfs /tmp:exec)
    MACHINES+=("$1")
    if [[ -n $SYSTEMD ]]; then
        # SYS_PTRACE: with /proc hidden, systemd needs it to write the map of a user namespace, as it has it on a machine.
        docker run -d "${options[@]}" --cap-add SYS_ADMIN --cap-add SYS_PTRACE --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
            -e container=docker -e SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1 -v /sys/fs/cgroup:/sys/fs/cgroup:rw "$2" /sbin/init >/dev/null
    else
        docker run -d "${options[@]}" "$2" sleep infinity >/dev/null
    fi
}

# Its own ssh has no keys yet, so degraded is as good.
systemd_up() { [[ $(on "$1" 'systemctl is-system-running') =~ ^(running|degraded)$ ]]; }

# systemctl of a machine without systemd: start, stop, restart, enable --now, is-active, of a unit's ExecStart= as its User=.
by_hand() {
    on "$1" 'cat >/usr/local/sbin/systemctl && chmod 755 /usr/local/sbin/systemctl' <<'END'
#!/bin/bash
set -u
words=() now=
for word in "$@"; do case $word in --now) now=1 ;; -*) ;; *) words+=("${word%.service}") ;; esac; done
verb=${words[0]:-} unit=${words[1]:-}
file=$(ls {/etc,/usr/lib,/lib}/systemd/system/"$unit.service" 2>/dev/null | head -n 1)
pid=/run/by-hand-$unit.pid
value() { sed -n "s/^$1=//p" "$file" | tail -n 1; }
alive() { [[ -f $pid ]] && kill -0 "$(cat "$pid")" 2>/dev/null; }
start() {
    local condition user
    condition=$(value ConditionPathExists) user=$(value User)
    if alive || [[ -n $condition && ! -e $condition ]]; then return 0; fi
    for folder in /var/lib /run; do
        [[ -z $user ]] || install -d -o "$user" -g "$user" "$folder/mailquorum"
    done
    # shellcheck disable=SC2046 # the words of a command line
    setsid setpriv ${user:+--reuid "$user" --regid "$user" --init-groups} $(value ExecStart | sed 's/^[-+!@]*//') >>"/var/log/$unit" 2>&1 </dev/null &
    echo $! >"$pid"
    sleep 1
    alive
}
stop() { if alive; then kill "$(cat "$pid")"; while alive; do sleep 0.2; done; fi; rm -f "$pid"; }
[[ -n $file || $verb == is-active ]] || exit 0
case $verb in
    enable) [[ -z $now ]] || start ;;
    start) start ;;
    stop) stop ;;
    restart) stop; start ;;
    is-active) alive && echo active || { echo inactive; exit 3; } ;;
esac
END
}

# Who may log in where: admin as root, everywhere. Names are those of the network.
ssh_everywhere() {
    local machine public
    on admin 'mkdir -p -m 700 ~/.ssh && ssh-keygen -q -t ed25519 -N "" -f ~/.ssh/id_ed25519 && printf "Host *\n  StrictHostKeyChecking accept-new\n  LogLevel ERROR\n" >~/.ssh/config'
    public=$(on admin 'cat ~/.ssh/id_ed25519.pub')
    for machine in "${MACHINES[@]}"; do
        on "$machine" "mkdir -p -m 700 ~/.ssh && echo '$public' >>~/.ssh/authorized_keys && ssh-keygen -A >/dev/null 2>&1" || return 1
        if [[ -n $SYSTEMD ]]; then
            on "$machine" 'systemctl reset-failed ssh; systemctl restart ssh'
        else
            on "$machine" 'mkdir -p /run/sshd && /usr/sbin/sshd'
        fi || return 1
        on admin "ssh root@$machine true" || return 1
    done
}

# The mail host as its administrator had it before: Debian's Dovecot, users of its own, some mail.
dovecot_before() {
    local config='mail_location = maildir:~/Maildir
passdb {
  driver = passwd-file
  args = /etc/dovecot/users
}
userdb {
  driver = passwd-file
  args = /etc/dovecot/users
}'
    [[ $1 == 12 ]] || config='dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
mail_driver = maildir
mail_path = ~/Maildir
passdb passwd-file {
  passwd_file_path = /etc/dovecot/users
}
userdb passwd-file {
  passwd_file_path = /etc/dovecot/users
}'
    # 2.4 wants its version before anything else.
    on mx1 "cat >/etc/dovecot/dovecot.conf" <<<"$config
ssl = no
log_path = /var/log/dovecot.log
first_valid_uid = 1
namespace inbox {
  inbox = yes
  separator = /
}" || return 1
    on mx1 'useradd -r -m -d /srv/vmail vmail && id=$(id -u vmail):$(id -g vmail)
        for user in anna bo; do echo "$user@example.org:{PLAIN}secret:$id::/srv/vmail/$user"; done >/etc/dovecot/users
        if [ -d /run/systemd/system ]; then systemctl restart dovecot; else dovecot; fi
        for i in 1 2 3; do printf "From: x@example.net\nSubject: message %d\n\nbody\n" $i | doveadm save -u anna@example.org -m INBOX || exit 1; done
        doveadm mailbox create -u anna@example.org Archive/2026'
}

# ---- the quickstart ------------------------------------------------------------------------------------------------

# blocks SECTION TAG...: the code blocks of that section (0: before the first) that are for everybody or bear one of the tags.
blocks() {
    awk -v want="$1" -v tags=" ${*:2} " '
        /^## [0-9]/ { section = $2 + 0 }
        /^<!-- run/ { tag = $3; sub(/^<!-- run: */, ""); sub(/ *-->.*/, ""); on = $0 ~ /^<!--/ ? 1 : index(tags, " " $0 " ") > 0; next }
        /^```sh$/ && on && section == want { inside = 1; next }
        /^```/ { if (inside) print ""; inside = 0; on = 0; next }
        inside { print }' docs/quickstart.md
}

# section N TAG...: runs it in one shell on admin, after what stands before the first section, stopping at what fails.
section() {
    local code started=$SECONDS
    { echo 'set -e'; blocks 0 "${@:2}"; blocks "$@"; } >"$MQ_TMP/section"
    on admin 'mkdir -p /srv/quickstart && cat >/srv/quickstart/section' <"$MQ_TMP/section"
    timeout 1200 docker exec -e DEBIAN_FRONTEND=noninteractive -w /srv/mailquorum "$RUN-admin" bash /srv/quickstart/section \
        >"$MQ_TMP/said" 2>&1 </dev/null
    code=$?
    if [[ $code -ne 0 ]]; then
        tail -n 40 "$MQ_TMP/said"
        fail "section $1 of the quickstart ended with $code"
        return 1
    fi
    holds "section $1 of the quickstart ran verbatim ($(grep -c . "$MQ_TMP/section") lines, $((SECONDS - started)) s)"
}

# ---- what must hold -----------------------------------------------------------------------------------------------

nothing_runs() {
    local node
    for node in $NODES; do
        [[ $(on "$node" 'systemctl is-active mailquorumd') != active ]] || { fail "$node: the service runs before it is configured"; return; }
        # Not even when somebody starts it: the condition, not luck.
        on "$node" 'systemctl start mailquorumd'
        [[ $(on "$node" 'systemctl is-active mailquorumd') != active ]] || { fail "$node: it started without a configuration"; return; }
    done
    holds "installed is not started, and without a configuration it cannot be"
}

backports_alone() {
    local found
    [[ $1 == 12 ]] || return 0
    found=$(on bj1 "dpkg-query -W -f '\${Package} \${Version}\n' | grep bpo")
    [[ $(wc -l <<<"$found") -eq 1 && $found == libraft0\ 0.22* ]] || { fail "from backports came: $found"; return; }
    holds "from backports came $found and nothing else"
}

# As systemd sees it: notified, watched, the sentence, the user.
service_state() {
    local said
    [[ -n $SYSTEMD ]] || return 0
    said=$(on bj1 'systemctl show mailquorumd -p Type,ActiveState,User,WatchdogUSec,NRestarts,StatusText --value' | paste -sd'|')
    echo "bj1: $said"
    [[ $said == *notify* && $said == *active* && $said == *mailquorum* && $said == *20s* && $said =~ running\;\ [0-9]+\ of\ [0-9]+\ peers ]] ||
        fail "systemd does not know how mailquorumd is: $said"
    reports() { [[ $(on mx1 'systemctl show mailfeed -p StatusText --value') == "reporting to"* ]]; }
    eventually 30 reports
    said=$(on mx1 'systemctl show mailfeed -p Type,ActiveState,NRestarts,StatusText --value' | paste -sd'|')
    echo "mx1: $said"
    [[ $said == *notify* && $said == *active* && $said == *"reporting to"*users* ]] || fail "systemd does not know how mailfeed is: $said"
}

watchdog_restarts() {
    [[ -n $SYSTEMD ]] || return 0
    on sh1 'kill -STOP $(systemctl show mailquorumd -p MainPID --value)'
    restarted() { [[ $(on sh1 'systemctl show mailquorumd -p NRestarts --value') -ge 1 ]]; }
    eventually 90 restarted || { fail "a node that stands still is not restarted"; return; }
    [[ -z $(on sh1 'find /var/lib/systemd/coredump /var/crash /var/lib/mailquorum -name "*core*" -type f 2>/dev/null') ]] || fail "a core was left"
    eventually 60 on admin 'clusterctl status' || { fail "the cluster is not whole after it"; return; }
    holds "a node that stands still is killed by the watchdog and started again; the cluster is whole after it"
}

bad_configuration_stays_down() {
    [[ -n $SYSTEMD ]] || return 0
    on wit1 'systemctl stop mailquorumd && cp -p /etc/mailquorum/mailquorumd.conf /srv/good && echo "[raft]
hartbeat = 1s" >>/etc/mailquorum/mailquorumd.conf && systemctl start mailquorumd'
    sleep 5
    local said
    said=$(on wit1 'systemctl show mailquorumd -p ActiveState,ExecMainStatus,NRestarts --value' | paste -sd'|')
    [[ $said == *failed* && $said == *78* ]] || fail "a mistake in the configuration: $said"
    on wit1 'cp -p /srv/good /etc/mailquorum/mailquorumd.conf && systemctl reset-failed mailquorumd && systemctl start mailquorumd'
    eventually 60 on admin 'clusterctl status' || { fail "the witness did not come back"; return; }
    holds "a mistake in the configuration ends it with 78, and it is not tried again"
}

mail_is_known() {
    local want got
    want=$(on mx1 'doveadm -f tab mailbox status -u anna@example.org "messages uidnext" INBOX' | tail -n 1 | cut -f2-)
    got=$(on admin 'clusterctl -o json mailbox show anna@example.org INBOX' | tr ',{' '\n\n' | grep -oE '"(messages|uidnext)": *"?[0-9]+' | tr -dc '0-9\n' | sort -u | paste -sd' ')
    echo "Dovecot: $want; cluster: $got"
    [[ -n $got && $(tr '\t ' '\n\n' <<<"$want" | sort -u | paste -sd' ') == "$got" ]] || { fail "the cluster does not know what Dovecot holds"; return; }
    grep -q 'Archive/2026' <<<"$(on admin 'clusterctl mailbox list anna@example.org')" || { fail "Archive/2026 is not listed"; return; }
    holds "the cluster knows what the Dovecot of mx1 holds"
}

# left MACHINE: what of ours is on it, beside dpkg's own notes and the packages that were copied there.
left() {
    on "$1" "find / -xdev \( -path /proc -o -path /sys -o -path /var/tmp -o -path /var/log -o -path /root \) -prune -o \
        \( -name '*mailquorum*' -o -name '*mailfeed*' -o -name 'clusterctl*' \) -print; getent passwd mailquorum; \
        dpkg-query -W -f '\${Package} \${Status}\n' mailquorumd mailfeed clusterctl 2>/dev/null | grep -v 'not-installed\|unknown ok'"
}

purge_holds() {
    local found node=bj1
    found=$(left mx1 | grep -v '/var/lib/systemd\|/run')
    [[ -z $found ]] || fail "purge of mailfeed left: $found"
    found=$(left wit1)
    [[ -z $found ]] || fail "purge with the data, as preseeded, left: $found"
    [[ -z $found ]] && holds "purge leaves nothing: no file, no user, no service"
    # Nobody answers: the data stay, the rest goes.
    on $node 'DEBIAN_FRONTEND=noninteractive apt-get purge -y mailquorumd clusterctl' >"$MQ_TMP/purge" 2>&1 || { tail "$MQ_TMP/purge"; fail "purge"; }
    [[ $(on $node 'ls -A /var/lib/mailquorum | wc -l') -gt 0 ]] || fail "purge deleted data that nobody gave away"
    found=$(left $node | grep -v '^/var/lib/mailquorum\|^mailquorum:')
    [[ -z $found ]] && holds "where nobody can answer, purge keeps the data and their owner, and nothing else" || fail "purge left: $found"
    # Somebody answers, on a terminal.
    node=sh1
    # They read first: what is typed before the question, apt throws away when it takes the terminal.
    on $node '(for i in {1..120}; do ! grep -q "Delete this node" /run/asked || break; sleep 1; done; sleep 1; echo yes; sleep 2) |
        DEBIAN_FRONTEND=readline TERM=xterm timeout 180 script -qefc "apt-get purge -y mailquorumd clusterctl" /run/asked' >"$MQ_TMP/purge" 2>&1
    grep -q "Delete this node's data in /var/lib/mailquorum" "$MQ_TMP/purge" || { tail -n 20 "$MQ_TMP/purge"; fail "purge did not ask"; }
    found=$(left $node)
    [[ -z $found ]] && holds "on a terminal purge asks; answered with yes it leaves nothing" || fail "purge, answered with yes, left: $found"
}

# ---- one release ---------------------------------------------------------------------------------------------------

release() {
    local version=$1 layout=$2 machine
    NODES='bj1 sh1 wit1'
    [[ $layout == three ]] || NODES='bj1 bj2 sh1 sh2 wit1'
    echo "== Debian $version, $layout nodes"
    images "$version" || { fail "the images of Debian $version"; return; }
    docker network create "$RUN" >/dev/null || { fail "no network"; return; }
    SYSTEMD=yes
    [[ -z ${MQ_NO_SYSTEMD:-} ]] || SYSTEMD=''
    machine admin "mailquorum-machine:$version"
    if [[ -n $SYSTEMD ]] && ! eventually 120 systemd_up admin; then
        echo "systemd does not start in a container here ($(docker logs "$RUN-admin" 2>&1 | tail -n 1)): ExecStart= of the units by hand"
        SYSTEMD=''
        docker rm -f "$RUN-admin" >/dev/null
        MACHINES=()
        machine admin "mailquorum-machine:$version"
    fi
    for machine in $NODES; do machine "$machine" "mailquorum-machine:$version"; done
    machine mx1 "mailquorum-mailhost:$version"
    for machine in "${MACHINES[@]}"; do
        if [[ -z $SYSTEMD ]]; then by_hand "$machine"; else eventually 120 systemd_up "$machine" || { fail "$machine does not boot"; return; }; fi
    done
    [[ -z $SYSTEMD ]] || echo "systemd $(on admin 'systemctl --version' | awk 'NR == 1 {print $2}') is the first process of each machine"
    ssh_everywhere || { fail "ssh"; return; }
    dovecot_before "$version" || { fail "Dovecot of mx1"; return; }
    tar -c --exclude=./build --exclude=./.git --transform 's,^\.,mailquorum,' . | docker cp - "$RUN-admin:/srv"

    if [[ -n ${MQ_PACKAGES:-} ]]; then
        on admin 'mkdir -p /srv/mailquorum/build/deb'
        docker cp "$MQ_PACKAGES/." "$RUN-admin:/srv/mailquorum/build/deb"
        SKIPPED='; section 1 was left out, its packages were there'
    else
        section 1 "$layout" || return
    fi
    section 2 "$layout" "debian$version" || return
    nothing_runs
    backports_alone "$version"
    section 3 "$layout" || return
    section 4 "$layout" || return
    section 5 "$layout" || return
    mail_is_known
    service_state
    watchdog_restarts
    bad_configuration_stays_down
    section 7 "$layout" purge || return
    purge_holds
    SAID+=("Debian $version: $layout nodes $([[ -n $SYSTEMD ]] && echo 'under systemd' || echo 'by hand, no systemd in containers here')")
}

case ${1:-all} in
    12) release 12 three ;;
    13) release 13 five ;;
    all)
        release 12 three
        cleanup
        release 13 five ;;
    *) echo "usage: packages.sh [12|13|all]"; exit 2 ;;
esac
cleanup
echo "packages: the quickstart's blocks ran verbatim ($(IFS=';'; echo "${SAID[*]:-nowhere}")); purge leaves nothing and asks before deleting data$SKIPPED; $failed things did not hold"
[[ $failed -eq 0 ]]
