# What the join does where the configuration installs Spider, in the place of lifecycle.sh: it stores the keys, and starts the service.
# STARDUST_SERVICE: system or user (of systemd), or launchd's target, whose log is STARDUST_LOG.
ETC=${STARDUST_ETC:-/etc/stardust}
OWNER=${STARDUST_USER:-stardust}
SERVICE=${STARDUST_SERVICE:-system}
KEYS='spider.conf session.key launch.key'

die() { printf 'error %s\n' "$*"; exit 1; }
forget() { for key in $KEYS; do rm -f -- "$ETC/$key"; done; }

case $SERVICE in
    system | user)
        start() { systemctl "--$SERVICE" start stardust-spider.service; }
        stop() { systemctl "--$SERVICE" stop stardust-spider.service; }
        active() { systemctl "--$SERVICE" is-active --quiet stardust-spider.service; }
        log() {
            started=$(systemctl "--$SERVICE" show -p InvocationID --value stardust-spider.service)
            journalctl "--$SERVICE" "_SYSTEMD_INVOCATION_ID=$started" -o cat --no-pager 2>/dev/null
        }
        ;;
    *)
        start() { launchctl kickstart "$SERVICE"; }
        stop() { launchctl kill TERM "$SERVICE"; }
        active() { launchctl print "$SERVICE" >/dev/null 2>&1; }
        log() { tail -n 200 "$STARDUST_LOG" 2>/dev/null; }
        ;;
esac

install_keys() {
    upload=$1 sum=$2 launcher=$4
    [ -d "$upload" ] && [ ! -L "$upload" ] || die upload_damaged
    [ "$(sha256sum <"$upload/manifest")" = "$sum  -" ] || die upload_damaged
    (cd "$upload" && sha256sum -c --status manifest) || die upload_damaged
    for key in $KEYS; do [ ! -e "$ETC/$key" ] || die already_installed "$ETC/$key is there"; done
    [ -d "$ETC" ] && [ ! -L "$ETC" ] && [ -w "$ETC" ] || die install_failed "$ETC is no folder that can be written"
    if [ -n "${STARDUST_STATE-}" ]; then install -d -m 0700 -o "$OWNER" -- "$STARDUST_STATE" || die install_failed "$STARDUST_STATE cannot be made"; fi
    [ "$launcher" != yes ] || install -m 0600 -- "$upload/launch.key" "$ETC/launch.key" || die install_failed "$ETC cannot be written"
    install -m 0600 -o "$OWNER" -- "$upload/session.key" "$ETC/session.key" &&
        install -m 0644 -- "$upload/spider.conf" "$ETC/spider.conf" || { forget; die install_failed "$ETC cannot be written"; }
}

case $1 in
    arm | finish) ;;
    install) install_keys "$2" "$3" "$4" "$5" ;;
    start) start || die start_failed "the service stardust-spider ($SERVICE) does not start" ;;
    diagnose)
        if active && log | grep -o '"event": "[a-z_]*"' | grep -E '"(spider_starts|session_|hub_)' | tail -n 1 | grep -q session_open; then printf 'in session\n'; fi
        log | tail -n 40 | while IFS= read -r line; do printf 'log %s\n' "$line"; done
        ;;
    undo | clear) stop; forget ;;
    *) die install_failed "unknown action $1" ;;
esac
printf 'ok\n'
