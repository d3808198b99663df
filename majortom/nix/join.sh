# What the join does on NixOS, in the place of lifecycle.sh: units, account and policy come from the configuration, so it only stores the keys.
ETC=${STARDUST_ETC:-/etc/stardust}
KEYS='spider.conf session.key launch.key'

die() { printf 'error %s\n' "$*"; exit 1; }
active() { systemctl is-active --quiet stardust-spider.service; }
forget() { for key in $KEYS; do rm -f -- "$ETC/$key"; done; }

install_keys() {
    upload=$1 sum=$2 launcher=$4
    [ -d "$upload" ] && [ ! -L "$upload" ] || die upload_damaged
    [ "$(sha256sum <"$upload/manifest")" = "$sum  -" ] || die upload_damaged
    (cd "$upload" && sha256sum -c --status manifest) || die upload_damaged
    for key in $KEYS; do [ ! -e "$ETC/$key" ] || die already_installed "$ETC/$key is there"; done
    [ -d "$ETC" ] && [ ! -L "$ETC" ] && [ -w "$ETC" ] || die install_failed "$ETC is no folder that can be written"
    [ "$launcher" != yes ] || install -m 0600 -- "$upload/launch.key" "$ETC/launch.key" || die install_failed "$ETC cannot be written"
    install -m 0600 -o "${STARDUST_USER:-stardust}" -- "$upload/session.key" "$ETC/session.key" &&
        install -m 0644 -- "$upload/spider.conf" "$ETC/spider.conf" || { forget; die install_failed "$ETC cannot be written"; }
}

case $1 in
    arm | finish) ;;
    install) install_keys "$2" "$3" "$4" "$5" ;;
    start) systemctl start stardust-spider.service || die start_failed "systemctl start stardust-spider.service failed" ;;
    diagnose)
        started=$(systemctl show -p InvocationID --value stardust-spider.service)
        log() { journalctl "_SYSTEMD_INVOCATION_ID=$started" -u stardust-spider.service -o cat --no-pager 2>/dev/null; }
        if active && log | grep -o '"event": "[a-z_]*"' | grep -E '"(spider_starts|session_|hub_)' | tail -n 1 | grep -q session_open; then printf 'in session\n'; fi
        log | tail -n 40 | while IFS= read -r line; do printf 'log %s\n' "$line"; done
        ;;
    undo | clear) systemctl stop stardust-spider.service; forget ;;
    *) die install_failed "unknown action $1" ;;
esac
printf 'ok\n'
