# Installs Spider on a Mac under launchd and removes it; `../lifecycle.sh` is the one for Linux and says what the words print. Run as root.
#   arm SECONDS                            before the first change: begin the journal, and keep this script as $VAR/uninstall. (There is no
#                                          timer here: a join that was killed is undone by the next one, or by `uninstall remove`.)
#   install UPLOAD SHA256 VERSION LAUNCHER copy the uploaded files to their paths; LAUNCHER is no, because a Mac is only watched
#   start | finish | diagnose              as on Linux
#   undo | clear | remove                  remove everything; undo: only an unfinished installation. The owner's policy file stays, but for remove
#
# The account is `_stardust`, with a free number below 500, as Apple's own have.

OPT=/opt/stardust ETC=/etc/stardust VAR=/var/lib/stardust LOG=/var/log/stardust-spider.log
JOURNAL=$VAR/installed LABEL=stardust.spider
PLIST=/Library/LaunchDaemons/$LABEL.plist
ACCOUNT=_stardust

die() { printf 'error %s\n' "$*"; exit 1; }
note() { printf 'note %s\n' "$*"; }
record() { printf '%s\n' "$*" >>"$JOURNAL" || die install_failed "the journal $JOURNAL cannot be written"; }
recorded() { [ -f "$JOURNAL" ] && grep -q -x -F -e "$1" "$JOURNAL"; }
active() { launchctl print "system/$LABEL" >/dev/null 2>&1; }
last_event() { tail -n 200 "$LOG" 2>/dev/null | grep -o '"event": "[a-z_]*"' | grep -E '"(spider_starts|session_|hub_)' | tail -n 1; }

arm() {
    [ ! -f "$JOURNAL" ] || die already_installed "$JOURNAL is there"
    [ -d /var/lib ] || { mkdir -m 0755 /var/lib && parent=/var/lib; }
    mkdir -m 0755 "$VAR" 2>/dev/null || [ -d "$VAR" ] || die install_failed "$VAR cannot be made"
    record version 1
    (umask 077 && rollback_text >"$VAR/uninstall") || die install_failed "$VAR cannot be written"
    [ -z "${parent-}" ] || record "parent $parent"
    sync
}

# The first free number from 499 down to 401, of users and groups together.
free_number() {
    taken=" $(dscl . -list /Users UniqueID | awk '{ print $2 }' | tr '\n' ' ') $(dscl . -list /Groups PrimaryGroupID | awk '{ print $2 }' | tr '\n' ' ') "
    number=499
    while [ $number -gt 400 ]; do
        case $taken in *" $number "*) number=$((number - 1)) ;; *) printf '%s' "$number"; return 0 ;; esac
    done
    return 1
}

make_account() {
    if dscl . -read "/Users/$ACCOUNT" UniqueID >/dev/null 2>&1; then die name_in_use "the account $ACCOUNT is there already"; fi
    number=$(free_number) || die install_failed 'there is no free number below 500 for an account'
    record "user $ACCOUNT"
    dscl . -create "/Groups/$ACCOUNT" PrimaryGroupID "$number" || die install_failed 'the group cannot be made'
    for pair in "UniqueID $number" "PrimaryGroupID $number" 'UserShell /usr/bin/false' "NFSHomeDirectory $VAR" 'IsHidden 1' 'Password *'; do
        dscl . -create "/Users/$ACCOUNT" "${pair%% *}" "${pair#* }" || die install_failed 'the account cannot be made'
    done
}

# place MODE OWNER FILE PATH
place() { cp -- "$upload/$3" "$4.new" && chown "$2" "$4.new" && chmod "$1" "$4.new" && mv -f -- "$4.new" "$4" || die install_failed "$4 cannot be written"; }

install_spider() {
    upload=$1 sum=$2 version=$3
    recorded 'version 1' || die rolled_back
    [ -d "$upload" ] && [ ! -L "$upload" ] || die upload_damaged
    case $(shasum -a 256 "$upload/manifest") in "$sum "*) ;; *) die upload_damaged ;; esac
    (cd "$upload" && shasum -a 256 -c manifest >/dev/null 2>&1) || die upload_damaged
    make_account
    mkdir -p -m 0755 "$OPT" "$ETC" || die install_failed "$OPT or $ETC cannot be made"
    mkdir -m 0700 "$VAR/spider" && chown "$ACCOUNT:$ACCOUNT" "$VAR/spider" || die install_failed "$VAR/spider cannot be made"
    place 0444 root:wheel spider.pyz "$OPT/spider.pyz"
    place 0600 "$ACCOUNT:$ACCOUNT" session.key "$ETC/session.key"
    place 0644 root:wheel spider.conf "$ETC/spider.conf"
    [ -e "$ETC/policy.conf" ] || { place 0644 root:wheel policy.conf "$ETC/policy.conf" && record policy; }
    : >"$LOG" && chown "$ACCOUNT:wheel" "$LOG" && chmod 0640 "$LOG" || die install_failed "$LOG cannot be written"
    place 0644 root:wheel "$LABEL.plist" "$PLIST"
    rm -rf -- "$upload"
    note "Spider $version watches this Mac; the hub can order nothing here"
    python=$(sed -n 's:.*<string>\(/[^<]*/python3\)</string>.*:\1:p' "$PLIST" | head -n 1)
    "$python" -I -B -c 'import psutil' 2>/dev/null || note "only load and clock are measured: sudo $python -m pip install psutil gives the rest, after a restart of Spider"
}

remove() {
    why=$1
    launchctl bootout "system/$LABEL" >/dev/null 2>&1
    rm -f -- "$PLIST" "$LOG"
    rm -rf -- "$OPT"
    case $why in
        remove) rm -f -- "$ETC/policy.conf" ;;
        undo) ! recorded policy || rm -f -- "$ETC/policy.conf" ;;
    esac
    rm -f -- "$ETC/session.key" "$ETC/spider.conf"
    rmdir -- "$ETC" 2>/dev/null
    if recorded "user $ACCOUNT"; then
        dscl . -delete "/Users/$ACCOUNT" 2>/dev/null
        dscl . -delete "/Groups/$ACCOUNT" 2>/dev/null
    fi
    parent=$(sed -n 's/^parent //p' "$JOURNAL" 2>/dev/null)
    rm -rf -- "$VAR"
    [ -z "$parent" ] || rmdir -- "$parent" 2>/dev/null
    for folder in /tmp/stardust-upload.??????????; do
        if [ -d "$folder" ] && [ ! -L "$folder" ]; then rm -rf -- "$folder"; fi
    done
}

main() {
    LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
    export LC_ALL PATH
    umask 022
    cd / || exit 1
    action=$1
    shift
    trap '' HUP PIPE
    case $action in
    arm) arm ;;
    install) install_spider "$1" "$2" "$3" ;;
    start)
        launchctl enable "system/$LABEL" && launchctl bootstrap system "$PLIST" || die start_failed "launchctl bootstrap system $PLIST failed"
        active || die start_failed "launchctl does not know $LABEL"
        ;;
    finish) recorded 'version 1' || die rolled_back; recorded complete || record complete ;;
    diagnose)
        if active && last_event | grep -q session_open; then printf 'in session\n'; fi
        tail -n 40 "$LOG" 2>/dev/null | while IFS= read -r line; do printf 'log %s\n' "$line"; done
        ;;
    undo) ! recorded complete || die already_installed 'it is finished'; remove undo ;;
    clear | remove) remove "$action" ;;
    *) die install_failed "unknown action $action" ;;
    esac
    printf 'ok\n'
}
main "$@" </dev/null
exit $?
