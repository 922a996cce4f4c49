#!/bin/bash
# The installer finds the mirror and key for backports in apt's configuration, in both of its formats, and takes
# no other archive for Debian's. (What it does to a machine is shown by docs/proof.sh house/installer.)
source "$(dirname "$0")/lib/house.bash"
set -- # the installer looks at its own arguments
source "$SOURCE/tools/install-deps.sh"
set +e

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/etc/sources.list.d" "$tmp/out"
cat >"$tmp/etc/sources.list" <<'END'
deb cdrom:[Debian]/ bookworm main
# deb http://commented.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/one.gpg] http://one.example/debian/ bookworm main contrib # here
deb-src http://one.example/debian/ bookworm main
deb http://one.example/debian-security bookworm-security main
deb http://other.example/linux bookworm stable
END
cat >"$tmp/etc/sources.list.d/two.sources" <<'END'
# the main mirror
Types: deb deb-src
URIs: http://two.example/debian
Suites: bookworm bookworm-updates
Components: main non-free-firmware
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBGPL0BUBEADmW5NdOOHwPIJlgPu6JDcKw/NZJPR8lsD3K87ZM18gzyQZJD+w
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
URIs: http://two.example/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://disabled.example/debian
Suites: bookworm
Components: main
END
backports_sources bookworm "$tmp/out" "$tmp/etc"
expected='deb [arch=amd64 signed-by=/usr/share/keyrings/one.gpg] http://one.example/debian/ bookworm-backports main
Types: deb
Suites: bookworm-backports
Components: main
URIs: http://two.example/debian
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBGPL0BUBEADmW5NdOOHwPIJlgPu6JDcKw/NZJPR8lsD3K87ZM18gzyQZJD+w
 -----END PGP PUBLIC KEY BLOCK-----'
if [[ "$(cat "$tmp"/out/*)" != "$expected" ]]; then
    diff <(echo "$expected") <(cat "$tmp"/out/*) | sed 's,^,tools/install-deps.sh:1: ,'
fi | verdict "$(find "$tmp/etc" -type f | wc -l)"
