# Stashes an existing installation before a new one, and restores it if the new one is not finished. A deployment over SSH prepends this script
# to lifecycle.sh, which calls it.
#   arm_replace SECONDS  instead of `arm`, if an existing installation is to be replaced
#   stash [FOLDER ...]   stop the existing installation and move it away; these folders of /var/lib/stardust stay, and what the owner
#                        has written in /etc/stardust: policy.conf and actions.d
#
# Each move stays within one file system, so that it is atomic. The journal records the progress: `again begun`, then `again laid`. From
# `again laid` on, the installed files are those of the new installation.

BEFORE=/var/lib/stardust/before OLD_OPT=/opt/stardust.before OLD_ETC=/etc/stardust.before HUB_ADDRESS=spider/hub-address

arm_replace() {
    if ! recorded 'again begun'; then
        drop_previous
        [ -d "$VAR" ] || mkdir -m 0755 "$VAR" || die install_failed "$VAR cannot be made"
        (umask 077 && mkdir "$BEFORE") || die install_failed "$BEFORE cannot be made"
        if [ -f "$JOURNAL" ]; then cp -p -- "$JOURNAL" "$BEFORE/installed" || die install_failed "no room in $VAR"; fi
        for unit in $UNIT_FILES; do
            if openrc; then
                [ -e "/etc/runlevels/default/$unit" ] && printf '%s\n' "$unit" >>"$BEFORE/enabled"
                rc_quiet rc-service "$unit" status && printf '%s\n' "$unit" >>"$BEFORE/active"
            else
                systemctl is-enabled --quiet "$unit" 2>/dev/null && printf '%s\n' "$unit" >>"$BEFORE/enabled"
                case $unit in *@*) ;; *) systemctl is-active --quiet "$unit" && printf '%s\n' "$unit" >>"$BEFORE/active" ;; esac
            fi
        done
        getent passwd stardust >/dev/null || : >"$BEFORE/no-user"
        getent group stardust >/dev/null || : >"$BEFORE/no-group"
        # Atomically: the installation now counts as unfinished; its files are still the old ones.
        (
            umask 077
            { [ -f "$JOURNAL" ] && grep -v -x -e complete -e armed -e 'policy .*' "$JOURNAL" || printf 'version 1\n'; printf '%s\n' armed 'again begun'; } >"$JOURNAL.new"
        ) && sync "$JOURNAL.new" && mv -- "$JOURNAL.new" "$JOURNAL" || die install_failed "$JOURNAL cannot be written"
    fi
    arm "$1"
}

stash() {
    require_timer
    recorded 'again begun' && ! recorded 'again laid' || die rolled_back
    stop_units
    end_account_programs # the stash is deleted once the new Spider runs: no program may use a folder of it then
    mkdir -p -m 0700 "$OLD_ETC.units" || die install_failed "$OLD_ETC.units cannot be made"
    mkdir -p -m 0700 "$OLD_ETC" || die install_failed "$OLD_ETC cannot be made"
    move_settings "$ETC" "$OLD_ETC" policy.conf actions.d || die install_failed "$ETC cannot be moved"
    if [ -e "$OPT" ]; then mv -T -- "$OPT" "$OLD_OPT" || die install_failed "$OPT cannot be moved"; fi
    for unit in $UNIT_FILES; do
        rm -f -- "$UNITS"/*.target.wants/"$unit"
        if [ -e "$UNITS/$unit" ] || [ -L "$UNITS/$unit" ]; then
            mv -- "$UNITS/$unit" "$OLD_ETC.units/" || die install_failed "$UNITS cannot be written"
        fi
    done
    mkdir -m 0700 "$BEFORE/var" || die install_failed "$BEFORE/var cannot be made"
    for path in "$VAR"/*; do
        name=${path##*/}
        case " installed rollback before $* " in
        *" $name "*) case $(stat -c %U "$path") in stardust | root) continue ;; esac ;; # a file of a deleted account must not belong to the new installation
        esac
        mv -- "$path" "$BEFORE/var/" || die install_failed "$VAR cannot be written"
    done
    # The new spider.conf has the hub's present address, so an address that the hub named earlier no longer counts.
    if [ -e "$VAR/$HUB_ADDRESS" ]; then mv -T -- "$VAR/$HUB_ADDRESS" "$BEFORE/hub-address" || die install_failed "$VAR cannot be written"; fi
    ls -A "$VAR" >"$BEFORE/kept"
    record 'again laid'
    sync "$JOURNAL" "$BEFORE/kept" 2>/dev/null
    units_changed
}

units_changed() {
    openrc && return 0
    systemctl daemon-reload
    systemctl reset-failed 'stardust-spider.service' 'stardust-launcher*' >/dev/null 2>&1
    return 0
}

# Move what a folder of settings holds, without these two names, to another folder.
move_settings() {
    [ -d "$1" ] && [ ! -L "$1" ] || return 0
    find "$1" -mindepth 1 -maxdepth 1 ! -name "$3" ! -name "$4" -exec mv -f -- {} "$2" \; && [ -z "$(find "$1" -mindepth 1 -maxdepth 1 ! -name "$3" ! -name "$4")" ]
}


# After an interrupted stop, OpenRC regards the service as stopping for ever and does not start it: `zap` resets that.
rc_start() { rc_quiet rc-service "$1" start || { rc_quiet rc-service "$1" zap && rc_quiet rc-service "$1" start; }; }

# Restore the stashed installation. After an interruption it can run again: each step checks what is done already.
restore_previous() {
    stop_units
    end_account_programs
    if recorded 'again laid'; then
        for unit in $UNIT_FILES; do rm -f -- "$UNITS/$unit" "$UNITS"/*.target.wants/"$unit"; done
        restore_policy
        clear_settings
        # shellcheck disable=SC2086  # a list of names without blanks
        if openrc; then rc_forget $UNIT_FILES; fi
        rm -rf -- /run/stardust /run/stardust-spider "$OPT"
        for path in "$VAR"/*; do grep -q -x -F -e "${path##*/}" "$BEFORE/kept" || { shred_folder "$path"; rm -rf -- "$path"; }; done
        sed -i '/^again laid$/d' "$JOURNAL" && sync "$JOURNAL" || die install_failed "$JOURNAL cannot be written"
    fi
    for path in "$BEFORE"/var/*; do [ ! -e "$path" ] || mv -- "$path" "$VAR/"; done
    if [ -e "$BEFORE/hub-address" ]; then mv -T -- "$BEFORE/hub-address" "$VAR/$HUB_ADDRESS"; fi
    for path in "$OLD_ETC.units"/*; do [ ! -e "$path" ] && [ ! -L "$path" ] || mv -- "$path" "$UNITS/"; done
    rm -rf -- "$OLD_ETC.units"
    if [ -e "$OLD_OPT" ]; then mv -T -- "$OLD_OPT" "$OPT"; fi
    drop_links
    if [ -e "$OLD_ETC" ]; then mkdir -p -m 0755 "$ETC" && move_settings "$OLD_ETC" "$ETC" '' '' && rmdir -- "$OLD_ETC"; fi
    rmdir -- "$ETC" 2>/dev/null
    if [ -e "$BEFORE/no-user" ]; then
        userdel stardust >/dev/null 2>&1
    fi
    if [ -e "$BEFORE/no-group" ]; then groupdel stardust >/dev/null 2>&1; fi
    # Only what this attempt added.
    since() { sed -n "s/^$1 //p" "$JOURNAL" | { [ -f "$BEFORE/installed" ] && grep -v -x -F -e "$(sed -n "s/^$1 //p" "$BEFORE/installed")" || cat; }; }
    taken=$(since package) parents=$(since parent)
    drop_own_packages
    units_changed
    for word in enabled active; do
        [ -f "$BEFORE/$word" ] || continue
        while read -r unit; do
            case $word in
            enabled) if openrc; then rc_quiet rc-update add "$unit" default; else systemctl enable "$unit" >/dev/null 2>&1; fi ;;
            active) if openrc; then rc_start "$unit"; else systemctl start "$unit" >/dev/null 2>&1; fi ;;
            esac
        done <"$BEFORE/$word"
    done
    disarm
    for folder in $parents; do rmdir -- "$folder" 2>/dev/null; done
    sweep_uploads
    if [ -f "$BEFORE/installed" ]; then mv -- "$BEFORE/installed" "$JOURNAL"; else rm -f -- "$JOURNAL"; fi
    rm -rf -- "$BEFORE"
    rmdir -- "$VAR" 2>/dev/null
    return 0
}

