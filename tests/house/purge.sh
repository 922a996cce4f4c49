#!/bin/bash
# What debian/mailquorumd.postrm does at purge, wherever the data are and whatever is answered: run here on a root of its own, with a debconf
# that answers and a userdel that only notes it. docs/proof.sh mail/packages purges real packages.
source "$(dirname "$0")/lib/house.bash"

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir "$root/bin"
printf '#!/bin/sh\necho deleted >%s/user\n' "$root" >"$root/bin/userdel"
printf '#!/bin/sh\n! [ -e %s/no-user ]\n' "$root" >"$root/bin/getent"
chmod 755 "$root/bin"/*
sed "s,/usr/share/debconf,$root,; s,/var/lib/mailquorum,$root/var/lib/mailquorum,; s,/etc/mailquorum,$root/etc/mailquorum,g
    s,^user=.*,user=$(id -un)," debian/mailquorumd.postrm >"$root/postrm"

# debconf, as a shell sees it: answers $ANSWER, notes what it was told about the question.
cat >"$root/confmodule" <<CONFMODULE
db_subst() { echo "\$3" >"$root/asked"; }
db_input() { :; }
db_go() { :; }
db_get() { RET=\$ANSWER; }
CONFMODULE

# As a node leaves it.
data() { mkdir -p "$1/log" "$1/shards/1" && touch "$1/lock" "$1/identity" "$1/log/closed-1" "$1/shards/1/data.mdb"; }
configure() { printf '[node]\nname = bj1\ndata_directory = %s\n' "$1" >"$root/etc/mailquorum/mailquorumd.conf"; }
files() { find "$1/" -type f 2>/dev/null | wc -l; }

situation=
begin() {
    situation=$1
    rm -rf "$root"/{var,etc,srv,asked,user,said,no-user}
    mkdir -p "$root/var/lib" "$root/etc/mailquorum" "$root/srv"
}
purge() { ANSWER=$1 PATH=$root/bin:$PATH sh "$root/postrm" purge >"$root/said" 2>&1 || wrong "purge ended with $?: $(cat "$root/said")"; }
wrong() { echo "debian/mailquorumd.postrm:1: $situation: $1"; }
asked_for() { [[ $(cat "$root/asked" 2>/dev/null) == "$1" ]] || wrong "asked about '$(cat "$root/asked" 2>/dev/null)', not '$1'"; }
# kept DIRECTORY...: all of each, said so, and the user too.
kept() {
    local each
    for each in "$@"; do
        [[ $(files "$each") -eq 4 ]] || wrong "$each was touched"
        grep -q "the data in $(readlink -f "$each") are kept" "$root/said" || wrong "nobody is told that $each is kept"
    done
    [[ ! -f $root/user ]] || wrong "the owner of files that are kept was deleted"
}
# gone DIRECTORY...: no file, nothing said, and the user too.
gone() {
    local each
    for each in "$@"; do [[ $(files "$each") -eq 0 ]] || wrong "$each was not deleted"; done
    ! grep -q kept "$root/said" || wrong "it says: $(cat "$root/said")"
    [[ -f $root/user ]] || wrong "no file is left, the user is"
}

{
    usual=$root/var/lib/mailquorum elsewhere=$root/srv/mq

    begin 'never started'; mkdir "$usual"; configure "$usual"; purge false; gone "$usual"
    [[ ! -f $root/asked && ! -d $usual ]] || wrong 'a question about nothing, or its directory stays'
    begin 'the usual directory, no'; data "$usual"; configure "$usual"; purge false; asked_for "$usual"; kept "$usual"
    begin 'the usual directory, yes'; data "$usual"; configure "$usual"; purge true; gone "$usual"
    [[ ! -e $usual ]] || wrong 'the directory is left'
    begin 'no configuration, yes'; data "$usual"; purge true; gone "$usual"

    begin 'another directory, no'; mkdir "$usual"; data "$elsewhere"; configure "$elsewhere"; purge false; asked_for "$elsewhere"; kept "$elsewhere"
    begin 'another directory, yes'; mkdir "$usual"; data "$elsewhere"; configure "$elsewhere ; on the fast disk"; purge true; gone "$elsewhere"
    begin 'both, yes'; data "$usual"; data "$elsewhere"; configure "$elsewhere"; purge true; asked_for "$elsewhere, $usual"; gone "$usual" "$elsewhere"
    begin 'a space in its name'; data "$root/srv/m q"; configure "$root/srv/m q"; purge true; gone "$root/srv/m q"

    begin 'a link, no'; data "$elsewhere"; ln -s "$elsewhere" "$usual"; configure "$usual"; purge false; asked_for "$elsewhere"; kept "$elsewhere"
    begin 'a link, yes'; data "$elsewhere"; ln -s "$elsewhere" "$usual"; configure "$usual"; purge true; gone "$elsewhere"
    begin 'a link below, yes'; data "$usual"; data "$elsewhere"; ln -s "$elsewhere" "$usual/more"; configure "$usual"; purge true
    [[ $(files "$elsewhere") -eq 4 && ! -f $root/user ]] || wrong 'a link below was followed, or forgotten'

    begin 'a disk of its own'; mkdir -p "$usual/lost+found"; touch "$usual/lost+found/1"; configure "$usual"; purge false
    [[ ! -f $root/asked && -f $root/user && -f $usual/lost+found/1 ]] || wrong "lost+found counts as data"
    if unshare -m true 2>/dev/null; then
        begin 'a mount point, yes'; mkdir "$usual"; configure "$usual"; export -f data
        ANSWER=true PATH=$root/bin:$PATH unshare -m bash -c 'mount -t tmpfs none "$1" && data "$1" && sh "$2/postrm" purge >"$2/said" 2>&1; find "$1" -type f' - "$usual" "$root" >"$root/left"
        [[ ! -s $root/left && -f $root/asked ]] || wrong "left: $(cat "$root/left")"
        gone "$usual"
    fi
    if [[ $(id -u) -eq 0 ]]; then
        begin "another's file, yes"; data "$usual"; touch "$usual/theirs"; chown 65534 "$usual/theirs"; configure "$usual"; purge true
        [[ -f $usual/theirs && $(files "$usual") -eq 1 && ! -f $root/user ]] || wrong "a file of somebody else was deleted, or the user"

        begin 'the user is gone already, yes'; data "$usual"; chown -R 54321 "$usual"; touch "$root/no-user"; configure "$usual"; purge true
        [[ ! -e $usual && ! -f $root/user ]] || wrong "files of nobody were not deleted: $(cat "$root/said")"
    fi
    begin 'removed, not purged'; data "$usual"; configure "$usual"; ANSWER=true PATH=$root/bin:$PATH sh "$root/postrm" remove
    [[ $(files "$usual") -eq 4 && ! -f $root/user ]] || wrong 'remove deletes'
} | verdict 1
