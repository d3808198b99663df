#!/bin/sh
# Joins this server to a Stardust hub. Run it as root; it reads an invite (stardust1.…) from its standard input:
#
#     sh install.sh <<'EOF'
#     stardust1.…
#     EOF
#
# If the shell reads this script from a pipe (curl … | sudo sh), the script asks for the invite on the terminal.
# The invite has the hub's address and a secret that is never sent: hub and server prove to each other that they know it. Before the hub's proof
# the server sends only a greeting, and trusts nothing that the hub sends. After the proof the hub sends Spider, its units and this node's keys.
# The script in `lifecycle_text` installs these files and writes a journal. If a step fails, the server returns to its former state.
# No argument, environment variable or log contains a secret.

umask 077
LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH

fail() { printf 'stardust: %s\n' "$1" >&2; exit 1; }

# Inspects the server and changes nothing.
probe_text() {
    cat <<'STARDUST_END'
@PROBE@
STARDUST_END
}

# Installs the files, starts the units, and can undo both.
lifecycle_text() {
    cat <<'STARDUST_END'
@LIFECYCLE@
STARDUST_END
}

# The same two for macOS.
macos_probe_text() {
    cat <<'STARDUST_END'
@MACOS_PROBE@
STARDUST_END
}

macos_lifecycle_text() {
    cat <<'STARDUST_END'
@MACOS_LIFECYCLE@
STARDUST_END
}

# Spider's own modules for the proof, as a zip file of plain Python.
joiner_text() {
    cat <<'STARDUST_END'
@JOINER@
STARDUST_END
}

main() {
    [ "$(id -u)" = 0 ] || fail 'run this as root, for instance with sudo'
    needed='python3, version 3.8 or newer, is needed and is not here: install it first'
    case $(uname -s) in
        Linux) ;;
        Darwin)
            probe_text() { macos_probe_text; }
            lifecycle_text() { macos_lifecycle_text; }
            needed="python3 of Apple's command line tools is needed and is not here: run xcode-select --install first"
            ;;
        *) fail 'this is neither Linux nor macOS' ;;
    esac
    python=$(probe_text | sh -s </dev/stdin 2>/dev/null | sed -n 's/^python=//p' | head -n 1)
    [ -n "$python" ] || fail "$needed"
    work=$(mktemp -d /tmp/stardust-join.XXXXXXXXXX) || fail 'no folder can be made in /tmp'
    trap 'rm -rf -- "$work"' EXIT
    trap 'rm -rf -- "$work"; exit 130' HUP INT TERM
    probe_text >"$work/probe.sh" && lifecycle_text >"$work/lifecycle.sh" &&
        joiner_text | "$python" -I -B -c 'import base64, sys; sys.stdout.buffer.write(base64.b64decode(sys.stdin.read()))' >"$work/joiner.pyz" ||
        fail 'there is no room in /tmp'
    case ${0##*/} in
        sh | -sh | dash | bash | -bash | ash | ksh | busybox) # standard input is this script itself
            (: </dev/tty) 2>/dev/null || fail 'there is no terminal on which to ask for the invite: use the command that has it inside'
            "$python" -I -B "$work/joiner.pyz" "$work/probe.sh" "$work/lifecycle.sh" </dev/tty
            ;;
        *) "$python" -I -B "$work/joiner.pyz" "$work/probe.sh" "$work/lifecycle.sh" ;;
    esac
}
main "$@"
exit $?
