# Inspects a Mac and changes nothing; `../probe.sh` is the one for Linux. Arguments: the URL of Ground Control and more, which are not used.
# Prints lines `name=value`; the last one is `ok`.

say() { printf '%s=%s\n' "$1" "$2"; }

# Python of Apple's command line tools or of python.org, owned by root and not writable by everybody. Without the tools /usr/bin/python3 only
# opens a window that offers them.
look_for_python() {
    tools=$(xcode-select -p 2>/dev/null)
    for python in "${tools:+$tools/usr/bin/python3}" "${tools:+/usr/bin/python3}" /Library/Frameworks/Python.framework/Versions/Current/bin/python3; do
        [ -n "$python" ] && [ -x "$python" ] || continue
        case $(stat -L -f '%u %Lp' "$python") in "0 "*[2367]) continue ;; "0 "*) ;; *) continue ;; esac
        version=$("$python" -I -S -B -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) || continue
        case $version in 3.[0-7].*) say python_old "$version"; continue ;; esac
        say python "$python"
        say python_version "$version"
        return 0
    done
}

look_for_ours() {
    found=
    for path in /opt/stardust /etc/stardust /var/lib/stardust /Library/LaunchDaemons/stardust.spider.plist; do
        # What the owner writes is no installation by itself.
        if [ "$path" = /etc/stardust ] && [ -d "$path" ] && [ -z "$(find "$path" -mindepth 1 -maxdepth 1 ! -name policy.conf)" ]; then continue; fi
        if [ -e "$path" ] || [ -L "$path" ]; then found="$found $path"; fi
    done
    say existing "${found# }"
    if [ -f /var/lib/stardust/installed ]; then
        if grep -q -x complete /var/lib/stardust/installed; then say journal complete; else say journal begun; fi
    fi
    for key in id fleet; do
        value=$(sed -n "s/^ *$key *= *\([0-9a-hjkmnp-tv-z]\{26\}\) *\$/\1/p" /etc/stardust/spider.conf 2>/dev/null)
        [ -z "$value" ] || say "existing_$key" "$value"
    done
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
    say os_ID macos
    say os_PRETTY_NAME "\"macOS $(sw_vers -productVersion 2>/dev/null)\""
    say launchd yes
    look_for_ours
    look_for_python
    printf 'ok\n'
}
main </dev/null
exit $?
