# Inspects a server and changes nothing. Run by `sh -s`; arguments: the URL of Ground Control, `pinned` or not, and a proxy; or none.
# Prints lines `name=value`; the last one is `ok`.

say() { printf '%s=%s\n' "$1" "$2"; }

first_line() { IFS= read -r line && printf '%s' "$line"; }

# Look for the Python interpreter for Spider: version 3.8 or newer, with a complete standard library, owned by root and writable only by root.
look_for_python() {
    for python in /usr/bin/python3 /usr/libexec/platform-python /usr/local/bin/python3 \
        /usr/bin/python3.15 /usr/bin/python3.14 /usr/bin/python3.13 /usr/bin/python3.12 /usr/bin/python3.11 \
        /usr/bin/python3.10 /usr/bin/python3.9 /usr/bin/python3.8; do
        [ -x "$python" ] || continue
        case $(stat -L -c '%u %a' "$python") in "0 "*[2367][0-7] | "0 "*[2367]) continue ;; "0 "*) ;; *) continue ;; esac
        version=$("$python" -I -S -B -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) || continue
        case $version in 3.[0-7].*) say python_old "$version"; continue ;; esac
        if missing=$("$python" -I -B -c '
import importlib
names = "asyncio configparser ctypes hashlib hmac json pty socket sqlite3 ssl struct zipimport zlib".split()
gone = []
for name in names:
    try:
        importlib.import_module(name)
    except ImportError:
        if name not in ("ctypes", "sqlite3"):
            gone.append(name)
print(" ".join(gone))' 2>/dev/null) && [ -z "$missing" ]; then
            say python "$python"
            say python_version "$version"
            return 0
        fi
        say python_incomplete "${missing:-does not run}"
    done
    python=
    return 0
}

# Whether this server reaches the hub's port: `ok`, or the reason in a few words.
reach() {
    "$python" -I -B -c '
import socket, ssl, sys
from urllib.parse import urlsplit
url = urlsplit(sys.argv[1])
secure = url.scheme == "wss"
try:
    port = url.port or (443 if secure else 80)
    proxy = urlsplit(sys.argv[3]) if sys.argv[3] else None
    at = (proxy.hostname, proxy.port) if proxy else (url.hostname, port)
    connection = socket.create_connection(at, timeout=5)
    if proxy:
        there = ("[%s]:%d" if ":" in url.hostname else "%s:%d") % (url.hostname, port)
        connection.sendall(("CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (there, there)).encode())
        head = b""
        while b"\r\n\r\n" not in head and len(head) < 16384:
            data = connection.recv(1024)
            if not data:
                break
            head += data
        if head[9:10] != b"2" or not head.startswith(b"HTTP/1."):
            print("the proxy answered %s" % (head[9:12].decode("latin-1") or "nothing"))
            sys.exit()
    if secure and sys.argv[2] != "pinned":
        connection = ssl.create_default_context().wrap_socket(connection, server_hostname=url.hostname)
    connection.close()
    print("ok")
except socket.gaierror:
    print("the name %s cannot be resolved there" % at[0])
except ssl.SSLCertVerificationError as exc:
    print("its certificate is not trusted there (%s): add its authority to those of the server, or start the hub with --tls-pin" % exc.verify_message)
except ssl.SSLError:
    print("the server there does not speak TLS")
except socket.timeout:
    print("no answer within 5 seconds")
except OSError as exc:
    print((exc.strerror or "network error").lower())
' "$1" "$2" "$3" 2>/dev/null || printf '%s\n' 'python3 failed'
}

free_space() {
    folder=$1
    while [ ! -d "$folder" ]; do folder=${folder%/*}; folder=${folder:-/}; done
    writable=no
    [ -w "$folder" ] && writable=yes
    df -Pk "$folder" 2>/dev/null | {
        read -r _
        read -r device _ _ available _ mount
        options=
        while read -r _ where _ flags _; do [ "$where" = "$mount" ] && options=$flags; done </proc/mounts
        noexec=no
        case ,$options, in *,noexec,*) noexec=yes ;; esac
        say "folder $1" "${available:-0} $writable $noexec ${device:--} $mount"
    }
}

# Print the first path of the interpreter, its library and Stardust's folders on which Spider's account lacks a right. The kernel decides that,
# because an ACL may name the account. The interpreter changes its own uid for this, because the account may not be able to run any program.
look_for_closed() {
    [ -n "$python" ] || return 0
    "$python" -I -S -B -c '
import os, ssl, sys
uid, gid, program = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
ours = ["/opt/stardust", "/etc/stardust", "/var/lib/stardust"]
library = [path for path in sys.path if os.path.isdir(path)]
with open("/proc/self/maps") as maps:
    loaded = sorted({line.split()[-1] for line in maps if ".so" in line and "/" in line})
needed = {}
for path in ours + library + loaded + [program, os.path.realpath(program)]:
    folder = path
    while folder != "/":
        folder = os.path.dirname(folder)
        needed[folder] = "x"
needed.update(dict.fromkeys(ours, "x"))
needed.update(dict.fromkeys(library, "rx"))
needed.update(dict.fromkeys(loaded, "r"))
needed[program] = "x"
modes = {path: os.stat(path).st_mode & 0o7777 for path in needed if os.path.exists(path)}
os.setgroups([])
os.setgid(gid)
os.setuid(uid)
for path in sorted(modes):
    if not os.access(path, sum({"r": os.R_OK, "x": os.X_OK}[sign] for sign in needed[path])):
        print("closed=%s %o %s" % (path, modes[path], needed[path]))
        break
' "$(id -u stardust 2>/dev/null || printf 65534)" "$(id -g stardust 2>/dev/null || printf 65534)" "$python" 2>/dev/null
}

job_runs() {
    if [ "$systemd" = yes ]; then
        systemctl list-units --no-legend --plain --state=active,activating,deactivating 'stardust-job@*' 2>/dev/null | grep -q .
    else # a job that runs holds this lock
        [ -e /var/lib/stardust/jobs/.lock ] && ! flock -n /var/lib/stardust/jobs/.lock true
    fi
}

look_for_ours() {
    found=
    for path in /opt/stardust /etc/stardust /var/lib/stardust \
        /etc/systemd/system/stardust-spider.service /etc/systemd/system/stardust-launcher.socket \
        /etc/systemd/system/stardust-launcher@.service /etc/systemd/system/stardust-job@.service \
        /etc/init.d/stardust-spider /etc/init.d/stardust-launcher; do
        # What the owner writes is no installation by itself.
        if [ "$path" = /etc/stardust ] && [ -d "$path" ] && ! find "$path" -mindepth 1 -maxdepth 1 ! -name policy.conf ! -name actions.d | grep -q .; then continue; fi
        if [ -e "$path" ] || [ -L "$path" ]; then found="$found $path"; fi
    done
    say existing "${found# }"
    if [ -f /var/lib/stardust/installed ]; then
        journal=begun
        while read -r word _; do [ "$word" = complete ] && journal=complete; done </var/lib/stardust/installed
        say journal "$journal"
    fi
    if [ -f /etc/stardust/spider.conf ]; then
        sed -n 's/^ *\(id\|fleet\) *= *\([0-9a-hjkmnp-tv-z]\{26\}\) *$/existing_\1=\2/p; s/^ *proxy *= *\(http:[!-~]*\) *$/existing_proxy=\1/p' /etc/stardust/spider.conf
    fi
    policy=/etc/stardust/policy.conf
    if [ -e "$policy" ] || [ -L "$policy" ]; then
        say policy_file yes
        sed -n 's/^ *mode *= *\(monitor\|readonly\|managed\) *$/existing_policy=\1/p' "$policy" 2>/dev/null
        if [ -f "$policy" ] && [ ! -L "$policy" ]; then say policy_text "$(head -c 16385 "$policy" 2>/dev/null | base64 2>/dev/null | tr -d '\n')"; fi
    fi
    say user "$(getent passwd stardust)"
    say group "$(getent group stardust)"
    seconds=0 # the hub knows the end of a job a moment before its unit has ended
    while job_runs && [ "$seconds" -lt 5 ]; do
        sleep 1
        seconds=$((seconds + 1))
    done
    if job_runs; then say jobs 1; else say jobs 0; fi
}

main() {
    LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
    export LC_ALL PATH
    umask 077
    say uid "$(id -u)"
    say kernel "$(uname -s)"
    say arch "$(uname -m)"
    say hostname "$(uname -n)"
    say clock "$(date +%s)"
    sed -n 's/^\(ID\|VERSION_ID\|PRETTY_NAME\)=/os_\1=/p' /etc/os-release 2>/dev/null
    systemd=no units=/etc/systemd/system tools=systemctl
    if [ -d /run/systemd/system ]; then
        systemd=yes
        say systemd_version "$(systemctl --version 2>/dev/null | first_line)"
        say systemd_state "$(systemctl is-system-running 2>/dev/null)"
    elif [ -d /run/openrc ]; then
        units=/etc/init.d tools='rc-service rc-update supervise-daemon'
        say openrc "$(rc-service --version 2>/dev/null | first_line)"
        say openrc_runlevel "$(cat /run/openrc/softlevel 2>/dev/null)"
    fi
    say systemd "$systemd"
    selinux=absent
    [ -r /sys/fs/selinux/enforce ] && selinux=$(cat /sys/fs/selinux/enforce)
    say selinux "$selinux"
    for tool in useradd userdel groupadd groupdel getent sha256sum mktemp flock cp ln $tools; do
        command -v "$tool" >/dev/null 2>&1 || say missing_tool "$tool"
    done
    for manager in apt-get dnf yum pacman zypper apk; do
        if command -v "$manager" >/dev/null 2>&1; then say package_manager "$manager"; break; fi
    done
    for folder in /opt "$units" /var/lib /tmp; do free_space "$folder"; done
    look_for_ours
    look_for_python
    look_for_closed
    if [ -n "$1" ] && [ -n "$python" ]; then say reach "$(reach "$1" "$2" "${3:-$(sed -n 's/^ *proxy *= *//p' /etc/stardust/spider.conf 2>/dev/null)}")"; fi
    printf 'ok\n'
}
main "${1-}" "${2-}" "${3-}" </dev/null
exit $?
