#!/bin/bash
# the installer on fresh Debian 12 and 13: what it brings, what it leaves alone, what it refuses; needs docker
set -uo pipefail
export LC_ALL=C
docker version >/dev/null 2>&1 || { echo "no docker daemon here"; exit 77; }
docker/base-image.sh || { echo "the base images could not be made"; exit 77; }
passed=0 failed=0

# inside VERSION NAME SCRIPT: a fresh container with this tree in /src; the script says what does not hold, if any.
# ONLY=WORD in the environment: only those whose name has it.
inside() {
    [[ $2 == *${ONLY:-}* ]] || return 0
    local id said code started=$SECONDS
    id=$(docker create -w /src "mailquorum-base:$1" bash -c "$prelude $3")
    tar -c --exclude=./build --exclude=./.git --transform 's,^\.,src,' . | docker cp - "$id:/"
    said=$(docker start -a "$id" 2>&1)
    code=$?
    docker rm "$id" >/dev/null
    if [[ $code -eq 0 ]]; then
        passed=$((passed + 1))
        echo "Debian $1: $2: holds ($((SECONDS - started)) s)"
    else
        failed=$((failed + 1))
        tail -n 30 <<<"$said"
        echo "Debian $1: $2: DOES NOT HOLD"
    fi
}

prelude='
    fail() { echo "does not hold: $*"; exit 1; }
    version() { dpkg-query -W -f "\${Version}" "$1" 2>/dev/null; }
    running() { cat /proc/[0-9]*/comm | grep -xE "dovecot|master|exim4|anvil"; }
    cp -a /etc/apt /tmp/apt.before
    apt_unchanged() { diff -r /tmp/apt.before /etc/apt && ! ls /var/lib/apt/lists | grep backports; }
'
all='
    printf "#!/bin/sh\n# mine\nexit 0\n" >/usr/sbin/mine; chmod 755 /usr/sbin/mine
    ln -s mine /usr/sbin/policy-rc.d
    tools/install-deps.sh all || fail "the installer failed"
    [[ $(version libraft-dev) == 0.22.* ]] || fail "libraft $(version libraft-dev)"
    [[ $(version dovecot-core) != *bpo* && $(version postfix) != *bpo* ]] || fail "mail server from backports"
    ! running || fail "a daemon was started"
    [[ $(readlink /usr/sbin/policy-rc.d) == mine ]] || fail "the policy-rc.d of this machine was not put back"
    [[ ! -e /etc/postfix/main.cf ]] || fail "postfix was configured"
    ! ls /etc/rc[2345].d/ | grep -E "^S..(dovecot|postfix)" || fail "a service would start at boot"
    ! systemctl is-enabled dovecot.service postfix.service 2>/dev/null | grep -x enabled || fail "enabled at boot"
    apt_unchanged || fail "apt was changed"
    SECONDS=0; su -s /bin/bash nobody -c "tools/install-deps.sh all" || fail "the second run, not root"
    [[ $SECONDS -le 3 ]] || fail "the second run took $SECONDS s"
    cmake --preset gcc >/tmp/log 2>&1 || { cat /tmp/log; fail "cmake"; }'
inside 12 "everything is brought, nothing is started, nothing is left behind" "$all"
inside 13 "everything is brought, nothing is started, nothing is left behind" "$all"

inside 12 "the test above can fail: apt alone starts dovecot" '
    printf "#!/bin/sh\nexit 0\n" >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends dovecot-imapd
    running || fail "dovecot does not run"'

inside 12 "another mail server stops the demo packages, not the build" '
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends exim4-daemon-light >/dev/null 2>&1
    tools/install-deps.sh demo >/tmp/said 2>&1; code=$?
    [[ $code -eq 3 ]] || { cat /tmp/said; fail "exit code $code"; }
    grep -q exim4-daemon-light /tmp/said || fail "the message does not name exim4"
    [[ -n $(version exim4-daemon-light) && -z $(version postfix) && -z $(version dovecot-core) ]] || fail "something changed"
    tools/install-deps.sh build || fail "build"
    [[ $(version libraft-dev) == 0.22.* && -n $(version exim4-daemon-light) ]] || fail "build changed the mail server"'

inside 12 "another IMAP server stops the demo packages" '
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends courier-imap postfix >/dev/null 2>&1
    [[ -n $(version courier-imap) ]] || fail "courier-imap cannot be installed here"
    tools/install-deps.sh demo >/tmp/said 2>&1; code=$?
    [[ $code -eq 3 ]] && grep -q courier-imap /tmp/said || { cat /tmp/said; fail "exit code $code"; }'

inside 12 "an apt configured by a .sources file, with its key" '
    sed "s/\[[^]]*\]//" /etc/apt/sources.list.d/*.list | while read -r _ mirror suite _; do
        printf "Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n\n" \
            "$mirror" "$suite" /usr/share/keyrings/debian-archive-keyring.gpg
    done >/etc/apt/sources.list.d/debian.sources
    rm -rf /etc/apt/sources.list.d/*.list /etc/apt/trusted.gpg.d/* /tmp/apt.before; cp -a /etc/apt /tmp/apt.before
    tools/install-deps.sh build || fail "the installer failed"
    [[ $(version libraft-dev) == 0.22.* ]] || fail "libraft"
    apt_unchanged || fail "apt was changed"'

inside 12 "cut off in the middle: all is put back; killed: the next run puts it back" '
    printf "#!/bin/sh\n# mine\nexit 0\n" >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d
    for signal in TERM KILL; do
        setsid tools/install-deps.sh build & pid=$!
        until grep -q mailquorum /usr/sbin/policy-rc.d; do kill -0 $pid || fail "ended too early"; sleep 0.05; done
        kill -$signal -- -$pid
        wait $pid
        if [[ $signal == TERM ]]; then grep -q mine /usr/sbin/policy-rc.d || fail "not put back after TERM"; fi
        dpkg --configure -a >/dev/null 2>&1
    done
    tools/install-deps.sh build || fail "the run after"
    grep -q mine /usr/sbin/policy-rc.d || fail "not put back after KILL"
    apt_unchanged || fail "apt was changed"'

inside 12 "no backports on the mirror: an explanation, and no half installed libraft" '
    apt-get update -qq
    mkdir /tmp/bin; printf "#!/bin/sh\ncase \"\$*\" in *sourceparts=*--error-on=any*) exit 100;; esac\nexec /usr/bin/apt-get \"\$@\"\n" >/tmp/bin/apt-get
    chmod 755 /tmp/bin/apt-get
    PATH=/tmp/bin:$PATH tools/install-deps.sh build >/tmp/said 2>&1; code=$?
    [[ $code -eq 1 ]] && grep -q "no usable bookworm-backports" /tmp/said || { cat /tmp/said; fail "exit code $code"; }
    [[ -z $(version libraft-dev) && ! -e /usr/sbin/policy-rc.d ]] || fail "something was left"
    apt_unchanged || fail "apt was changed"'

echo "installer: $passed held, $failed did not, on Debian 12 and 13"
[[ $failed -eq 0 ]]
