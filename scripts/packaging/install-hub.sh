#!/bin/sh
# Installs the hub of Stardust @VERSION@ on this machine, from the files that lie beside this script or at --from URL. --dry-run changes nothing.
# Its last line starts it, so that a download that was cut does nothing.
set -eu

VERSION='@VERSION@'
# name SHA-256, one a line
FILES='
@FILES@
'

say() { printf '%s\n' "$*"; }
die() { printf 'install-hub: %s\n' "$*" >&2; exit 1; }

fetch() { # fetch NAME: put the file into the work folder, and compare it
    if [ -n "$from" ]; then
        curl --fail --silent --show-error --location --proto '=https' --max-time 600 --output "$work/$1" "$from/$1" || die "$from/$1 cannot be fetched"
    else
        cp -- "$here/$1" "$work/$1" || die "$1 does not lie beside this script: give --from https://…"
    fi
    sum=$(printf '%s' "$FILES" | sed -n "s/^$1 //p")
    [ -n "$sum" ] || die "$1 is no file of version $VERSION"
    [ "$(sha256sum <"$work/$1" | cut -c 1-64)" = "$sum" ] || die "$1 is another file than that of version $VERSION: nothing was installed"
}

main() {
    from='' dry='' here=$(cd "$(dirname "$0")" && pwd -P)
    while [ $# -gt 0 ]; do
        case $1 in
            --from) [ $# -gt 1 ] || die "--from needs an address"; from=${2%/}; shift ;;
            --dry-run) dry=yes ;;
            -h | --help) sed -n '2,3s/^# //p' "$0"; return 0 ;;
            *) die "unknown argument $1" ;;
        esac
        shift
    done
    case $from in '' | https://*) ;; *) die "--from must be https://…" ;; esac
    [ -n "$dry" ] || [ "$(id -u)" = 0 ] || die "run this as root: it installs a service"
    command -v apt-get >/dev/null && command -v dpkg >/dev/null || die "this machine has no apt: docs/install.md says how to install the wheel"
    python=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || die "python3 is missing: apt-get install python3"
    package=$(printf '%s' "$FILES" | sed -n "s/^\(stardust-hub_[^ ]*_py${python}_$(dpkg --print-architecture)\.deb\) .*/\1/p" | head -n 1)
    [ -n "$package" ] || die "version $VERSION has no package for Python $python on $(dpkg --print-architecture): docs/install.md says how to install the wheel"
    if [ -n "$dry" ]; then say "would install $package"; return 0; fi
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    chmod 0755 "$work" # apt reads the file as another user
    fetch "$package"
    apt-get install -y "$work/$package"
    say "The hub is installed. \`stardust\` shows how it is and how to open the page."
}

main "$@"
