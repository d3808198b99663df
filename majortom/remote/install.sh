#!/bin/sh
# Joins this server to a Stardust hub. Run it as root; it reads an invite (stardust1.…) from its standard input:
#
#     sh install.sh <<'EOF'
#     stardust1.…
#     EOF
#
# Where the shell reads this script itself from a pipe (curl … | sudo sh), it asks for the invite on the terminal.
# The invite says where the hub is and holds a secret that is never sent: hub and server prove to each other that they know it. Until the hub
# has done so it gets a greeting and nothing else, and nothing of it is trusted. Then it sends Spider, its units and this node's keys, and the
# script below under NODE puts them in place and writes down what it made. Whatever fails, the server ends as it was before.
# Nothing secret stands in an argument, the environment or a log.

umask 077
LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH

fail() { printf 'stardust: %s\n' "$1" >&2; exit 1; }

# What a server is and has; looks, and changes nothing.
probe_text() {
    cat <<'STARDUST_END'
@PROBE@
STARDUST_END
}

# Puts the files into their places, starts the units, and takes all of it back when asked to.
lifecycle_text() {
    cat <<'STARDUST_END'
@LIFECYCLE@
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
    [ "$(uname -s)" = Linux ] || fail 'this is not Linux'
    python=$(probe_text | sh -s </dev/stdin 2>/dev/null | sed -n 's/^python=//p' | head -n 1)
    [ -n "$python" ] || fail 'python3, version 3.8 or newer, is needed and is not here: install it first'
    work=$(mktemp -d /tmp/stardust-join.XXXXXXXXXX) || fail 'no folder can be made in /tmp'
    trap 'rm -rf -- "$work"' EXIT
    trap 'rm -rf -- "$work"; exit 130' HUP INT TERM
    probe_text >"$work/probe.sh" && lifecycle_text >"$work/lifecycle.sh" &&
        joiner_text | "$python" -I -B -c 'import base64, sys; sys.stdout.buffer.write(base64.b64decode(sys.stdin.read()))' >"$work/joiner.pyz" ||
        fail 'there is no room in /tmp'
    case ${0##*/} in
        sh | -sh | dash | bash | -bash | ash | ksh | busybox) # the script is what stands on standard input
            (: </dev/tty) 2>/dev/null || fail 'there is no terminal on which to ask for the invite: use the command that has it inside'
            "$python" -I -B "$work/joiner.pyz" "$work/probe.sh" "$work/lifecycle.sh" </dev/tty
            ;;
        *) "$python" -I -B "$work/joiner.pyz" "$work/probe.sh" "$work/lifecycle.sh" ;;
    esac
}
main "$@"
exit $?
