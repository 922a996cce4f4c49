#!/bin/bash
# install-deps.sh [build|test|demo|package|all]: the Debian packages that Mailquorum needs, on Debian 12 and 13.
#
# Happy path: look what is missing (nothing: done, no root needed, no network); become root; refuse what would
# replace another mail server; hold every daemon back; install. libraft must be 0.22: where apt offers another
# one (Debian 12), that single package is taken from this machine's own mirror, suite NN-backports.
#
# It removes nothing (--no-remove always), starts nothing (a policy-rc.d of its own for as long as it runs, and
# services it brought are switched off for the next boot), and leaves no trace in apt's configuration: the
# backports line is read from a temporary directory, with lists of its own. Never `-t NN-backports`: that would
# replace Dovecot and Postfix.
#
# Exit: 0 all there · 1 an installation failed · 2 wrong usage or wrong system · 3 another mail server is in
# the way.
set -euo pipefail
export LC_ALL=C DEBIAN_FRONTEND=noninteractive

# "a|b": any of them will do, the first is installed.
BUILD=(gcc libc6-dev 'pkgconf|pkg-config' cmake ninja-build ccache protobuf-c-compiler libuv1-dev liblz4-1
       liblmdb-dev libprotobuf-c-dev libssl-dev libxxhash-dev libjansson-dev libinih-dev)
TEST=('clang|clang-19|clang-14' 'clang-format|clang-format-19|clang-format-14' strace jq openssl procps
      iproute2 e2fsprogs systemd groff-base mmdebstrap)
PACKAGE=(build-essential debhelper po-debconf)
DEMO=(dovecot-core dovecot-imapd dovecot-lmtpd postfix jq openssl procps)

POLICY=/usr/sbin/policy-rc.d
SAVED=/usr/sbin/policy-rc.d.before-mailquorum
MARK='# mailquorum install-deps.sh: no daemon starts while packages are installed'

say() { printf 'install-deps: %s\n' "$*"; }
die() { local code=$1; shift; printf 'install-deps: %s\n' "$@" >&2; exit "$code"; }

is_installed() { [[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" == installed ]]; }

# Prints what of the given lists is not there.
missing_of() {
    local item name names found
    for item in "$@"; do
        found=
        IFS='|' read -ra names <<<"$item"
        for name in "${names[@]}"; do
            if is_installed "$name"; then found=1; break; fi
        done
        [[ -n $found ]] || printf '%s\n' "${names[0]}"
    done | sort -u
}

# libclang-rt has the sanitizers and libFuzzer, and clang only recommends it.
clang_runtime() {
    local clang version
    clang=$(compgen -c clang- | grep -xE 'clang-[0-9]+' | sort -t- -k2 -n | tail -1) || true
    [[ -n $clang ]] || clang=clang
    version=$("$clang" --version 2>/dev/null | sed -n 's/.*version \([0-9]*\)\..*/\1/p;q') || true
    [[ -n $version ]] && printf 'libclang-rt-%s-dev\n' "$version"
    return 0
}

have_raft() { [[ "$(pkg-config --modversion raft 2>/dev/null || true)" == 0.22.* ]]; }

# ---- nothing starts, everything is put back ----------------------------------------------------------------

TMP=
HOLDING=

cleanup() {
    if [[ -n $HOLDING ]]; then
        rm -f "$POLICY"
        [[ ! -e $SAVED && ! -L $SAVED ]] || mv -f "$SAVED" "$POLICY"
    fi
    [[ -z $TMP ]] || rm -rf "$TMP"
}

hold_daemons() {
    # Something was cut off by kill -9 here before: first put back what it had saved.
    if [[ -e $SAVED || -L $SAVED ]]; then mv -f "$SAVED" "$POLICY"; fi
    if [[ -f $POLICY ]] && grep -qF "$MARK" "$POLICY"; then rm -f "$POLICY"; fi
    HOLDING=1
    if [[ -e $POLICY || -L $POLICY ]]; then mv "$POLICY" "$SAVED"; fi
    printf '#!/bin/sh\n%s\nexit 101\n' "$MARK" >"$POLICY"
    chmod 755 "$POLICY"
}

# run WHAT COMMAND...: quiet while it works, the end of its words when it does not.
run() {
    local what=$1
    shift
    if ! "$@" >"$TMP/log" 2>&1 </dev/null; then
        tail -n 40 "$TMP/log" >&2
        die 1 "$what failed, see above. Nothing was removed; it is safe to run this again."
    fi
}

APT=(-y -qq --no-remove --no-install-recommends -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3
     -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold)

# ---- another mail server ------------------------------------------------------------------------------------

explain_conflict() {
    die 3 "$1" \
        "This script removes nothing, so it stops before changing anything." \
        "What to do: use a machine or a container without that mail server (docker/base-image.sh makes one)," \
        "or, if no mail depends on it, remove it yourself and run this again." \
        "To build only (no mail server needed): tools/install-deps.sh build"
}

# Who already holds the place of the mail transport agent or of the IMAP server, other than what we install.
refuse_other_mail_server() {
    local wanted=" $* " holder
    if [[ $wanted == *' postfix '* ]]; then
        holder=$(holders_of mail-transport-agent '^postfix')
        [[ -z $holder ]] || explain_conflict "$holder is installed as the mail server; postfix would replace it."
    fi
    if [[ $wanted == *' dovecot-'* ]]; then
        holder=$(holders_of imap-server '^dovecot-')
        [[ -z $holder ]] || explain_conflict "$holder is installed as the IMAP server; dovecot would stand beside it."
    fi
}

holders_of() {
    dpkg-query -W -f '${db:Status-Status}\t${Package}\t${Provides}\n' |
        awk -F'\t' -v what="$1" -v ours="$2" '
            $1 == "installed" && $2 !~ ours {
                n = split($3, provided, /, */)
                for (i = 1; i <= n; i++) { sub(/ .*/, "", provided[i]); if (provided[i] == what) { print $2; next } }
            }' | paste -sd' '
}

refuse_removal() {
    local gone
    gone=$(apt-get -s install --no-install-recommends "$@" 2>/dev/null | awk '$1 == "Remv" {print $2}' | paste -sd' ') ||
        return 0 # the installation itself says better what is wrong
    [[ -z $gone ]] || explain_conflict "installing $* would remove: $gone."
}

# ---- libraft -------------------------------------------------------------------------------------------------

# Prints the numbered parts of apt's own configuration that name this Debian's main archive, each turned into one
# for NN-backports: everything else of a line or stanza (mirror, Signed-By, options) stays as it is.
backports_sources() {
    local codename=$1 out=$2 etc=${3:-/etc/apt} file n=0
    for file in "$etc"/sources.list "$etc"/sources.list.d/*.list; do
        [[ -f $file ]] || continue
        awk -v codename="$codename" -v out="$out" -v base="$n" '
            { sub(/\r$/, ""); sub(/[ \t]*#.*/, "") }
            $1 != "deb" { next }
            {
                options = ""; line = $0
                sub(/^[ \t]*deb[ \t]+/, "", line)
                if (line ~ /^\[/) { options = line; sub(/\].*/, "] ", options); sub(/^\[[^]]*\][ \t]*/, "", line) }
                n = split(line, word, /[ \t]+/)
                if (word[1] ~ /^cdrom:/ || (word[2] != codename && word[2] !~ /^(old)?stable$/)) next
                for (i = 3; i <= n; i++) if (word[i] == "main") {
                    name = sprintf("%s/%03d.list", out, base + ++count)
                    printf "deb %s%s %s-backports main\n", options, word[1], codename >name
                    close(name)
                    break
                }
            }' "$file"
        n=$((n + 100))
    done
    for file in "$etc"/sources.list.d/*.sources; do
        [[ -f $file ]] || continue
        awk -v codename="$codename" -v out="$out" -v base="$n" '
            function has(list, what,    w, k, i) {
                k = split(list, w, /[ \t]+/)
                for (i = 1; i <= k; i++) if (w[i] == what) return 1
                return 0
            }
            function stanza(    name) {
                if (has(value["types"], "deb") && tolower(value["enabled"]) !~ /^ *(no|false|0|off|disable)/ &&
                    has(value["components"], "main") && (has(value["suites"], codename) ||
                    has(value["suites"], "stable") || has(value["suites"], "oldstable"))) {
                    name = sprintf("%s/%03d.sources", out, base + ++count)
                    printf "Types: deb\nSuites: %s-backports\nComponents: main\n%s", codename, kept >name
                    close(name)
                }
                kept = ""; field = ""; delete value
            }
            { sub(/\r$/, "") }
            /^#/ { next }
            /^[ \t]*$/ { stanza(); next }
            /^[^ \t]/ {
                field = tolower(substr($0, 1, index($0, ":") - 1))
                value[field] = " " substr($0, index($0, ":") + 1) " "
            }
            /^[ \t]/ { value[field] = value[field] $0 " " }
            field != "types" && field != "suites" && field != "components" { kept = kept $0 "\n" }
            END { stanza() }' "$file"
        n=$((n + 100))
    done
}

install_raft() {
    local candidate
    candidate=$(apt-cache policy libraft-dev | awk '$1 == "Candidate:" {print $2}')
    if [[ $candidate == 0.22.* ]]; then
        say "installing libraft-dev $candidate"
        run "installing libraft-dev" apt-get "${APT[@]}" install libraft-dev
    else
        install_raft_from_backports "${candidate:-none}"
    fi
    have_raft || die 1 "libraft is $(pkg-config --modversion raft 2>&1 | tail -1), and Mailquorum needs 0.22.x." \
        "If a newer one is installed, build in a container: docker/base-image.sh makes one."
}

install_raft_from_backports() {
    local codename part isolated others
    # shellcheck source=/dev/null
    codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
    say "apt offers libraft-dev $1; taking libraft-dev alone from $codename-backports"
    mkdir -p "$TMP/candidates" "$TMP/sources" "$TMP/lists/partial"
    backports_sources "$codename" "$TMP/candidates"
    isolated=(-o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$TMP/sources"
              -o Dir::State::lists="$TMP/lists" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=)
    for part in "$TMP"/candidates/*; do
        [[ -f $part ]] || die 1 "no line for the suite $codename, component main, in /etc/apt: which mirror has" \
            "$codename-backports is unknown. Add Debian's main archive to /etc/apt and run this again."
        rm -f "$TMP"/sources/*
        cp "$part" "$TMP/sources/"
        apt-get "${isolated[@]}" -qq -o Acquire::Retries=3 --error-on=any update >"$TMP/log" 2>&1 || continue
        others=$(apt-get "${isolated[@]}" -s --no-install-recommends install \
                 "libraft-dev/$codename-backports" 2>"$TMP/log" | awk '$1 == "Inst" || $1 == "Remv" {print $2}') || continue
        others=$(grep -vxE 'libraft-dev|libraft0' <<<"$others" | paste -sd' ') || true
        [[ -z $others ]] || die 1 "libraft-dev of $codename-backports would bring $others along; nothing else may" \
            "come from there, so nothing was installed."
        run "installing libraft-dev" apt-get "${isolated[@]}" "${APT[@]}" install "libraft-dev/$codename-backports"
        return
    done
    tail -n 20 "$TMP/log" >&2
    die 1 "the mirror of this machine has no usable $codename-backports (above is what apt said)." \
        "What to do: use a mirror that carries it, or put a libraft 0.22 of your own where pkg-config finds it."
}

# ---- what we brought does not start at the next boot either ---------------------------------------------------

switch_off() {
    local unit
    for unit in "$@"; do
        if command -v systemctl >/dev/null; then
            systemctl disable --quiet "$unit" >/dev/null 2>&1 || true
        elif command -v update-rc.d >/dev/null && [[ $unit == *.service ]]; then
            update-rc.d "${unit%.service}" disable >/dev/null 2>&1 || true
        fi
    done
}

# ---------------------------------------------------------------------------------------------------------------

install_packages() {
    local before_dovecot=1 before_postfix=1
    is_installed dovecot-core || before_dovecot=
    is_installed postfix || before_postfix=
    say "installing: $*"
    if [[ -z $before_postfix && " $* " == *' postfix '* ]]; then
        debconf-set-selections <<<'postfix postfix/main_mailer_type select No configuration'
    fi
    run "installing $*" apt-get "${APT[@]}" install "$@"
    if [[ -z $before_dovecot ]] && is_installed dovecot-core; then switch_off dovecot.service dovecot.socket; fi
    if [[ -z $before_postfix ]] && is_installed postfix; then switch_off postfix.service; fi
}

main() {
    local what=${1:-all} list=() missing runtime
    case $what in
        build) list=("${BUILD[@]}") ;;
        test) list=("${BUILD[@]}" "${TEST[@]}") ;;
        demo) list=("${BUILD[@]}" "${DEMO[@]}") ;;
        package) list=("${BUILD[@]}" "${PACKAGE[@]}") ;;
        all) list=("${BUILD[@]}" "${TEST[@]}" "${DEMO[@]}") ;;
        *) die 2 "unknown argument '$what'. Usage: tools/install-deps.sh [build|test|demo|package|all]" ;;
    esac
    [[ -f /etc/debian_version ]] && command -v apt-get >/dev/null ||
        die 2 "this is no Debian. Mailquorum is built on Debian 12 and 13; docker/base-image.sh makes a container."

    mapfile -t missing < <(missing_of "${list[@]}")
    if [[ $what == test || $what == all ]]; then
        runtime=$(clang_runtime)
        if [[ -n $runtime ]] && ! is_installed "$runtime"; then missing+=("$runtime"); fi
    fi
    if [[ ${#missing[@]} -eq 0 ]] && have_raft; then
        say "all there for '$what'"
        return
    fi
    if [[ $(id -u) -ne 0 ]]; then
        command -v sudo >/dev/null ||
            die 2 "missing: ${missing[*]:-libraft-dev 0.22}. Run as root: tools/install-deps.sh $what"
        exec sudo -- "$BASH" "$(readlink -f "$0")" "$what"
    fi

    refuse_other_mail_server "${missing[@]:-}"
    exec 9>/run/lock/mailquorum-install-deps
    flock -w 900 9 || die 1 "another install-deps.sh has been running for 15 minutes."
    trap cleanup EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    TMP=$(mktemp -d)
    chmod 755 "$TMP"
    say "missing: ${missing[*]:-libraft-dev 0.22}"
    if ! apt-get -qq -o Acquire::Retries=3 --error-on=any update >"$TMP/log" 2>&1; then
        tail -n 5 "$TMP/log" >&2
        say "apt-get update failed (above); going on with the lists that are there"
    fi
    hold_daemons
    if [[ ${#missing[@]} -gt 0 ]]; then
        refuse_removal "${missing[@]}"
        install_packages "${missing[@]}"
    fi
    have_raft || install_raft
    if [[ $what == test || $what == all ]]; then
        runtime=$(clang_runtime)
        if [[ -n $runtime ]] && ! is_installed "$runtime"; then install_packages "$runtime"; fi
    fi
    say "done for '$what'"
}

# Sourced by tests/house/installer.sh for its functions; run, it installs.
if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main "$@"; fi
