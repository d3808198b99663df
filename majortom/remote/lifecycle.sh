# Installs Spider on a server and removes it. Run as root by `sh -s`; data come as arguments and files only.
#   arm SECONDS                            before the first change: set the timer after which the server rolls back by itself
#   python MANAGER                         install python3 with the server's package manager
#   install UPLOAD SHA256 VERSION LAUNCHER [POLICY]
#                                          copy the uploaded files to their paths (LAUNCHER: yes or no). A policy file that is here stays;
#                                          only with POLICY, its SHA-256, the uploaded one replaces it
#   start LAUNCHER                         enable and start the units
#   command                                install the command `stardust-spider` for root, if it is missing or of an older version
#   status                                 print for the server's owner which hub it has, and whether Spider is connected
#   finish                                 the installation is complete: close the journal and remove the timer
#   rollback [SECONDS]                     run by the timer: undo an unfinished installation (OpenRC has no timers: first wait for SECONDS)
#   diagnose                               print why there is no session: state and last log lines
#   stop                                   stop and disable the units, unless a job runs
#   remove                                 remove everything that Stardust installed
#   clear                                  the same before a new installation: the owner's policy file stays
#   undo [whole | unlaid]                  undo an unfinished installation, with the packages that `python` installed. whole: undo a finished
#                                          one, too. unlaid: the installation was to replace another one, and has not touched it yet
#   search                                 print what is left of Stardust
# Prints lines: `note TEXT`, `error CODE TEXT`, `left TEXT`, `log TEXT`. After a success the last line is `ok`.
#
# The journal /var/lib/stardust/installed lists what was installed: it is written and synced before the first change.

OPT=/opt/stardust ETC=/etc/stardust VAR=/var/lib/stardust UNITS=/etc/systemd/system
JOURNAL=$VAR/installed
ROLLBACK=$VAR/rollback TIMER=stardust-rollback.timer
UNIT_FILES="stardust-spider.service stardust-launcher.socket stardust-launcher@.service stardust-job@.service" UNIT_MODE=0644
LOG=/var/log/stardust-spider.log
COMMAND=$OPT/stardust-spider LINKS="/usr/local/sbin/stardust-spider /usr/local/bin/stardust-spider"
openrc() { false; }
if [ ! -d /run/systemd/system ] && [ -d /run/openrc ]; then
    openrc() { true; }
    UNITS=/etc/init.d UNIT_FILES="stardust-spider stardust-launcher" UNIT_MODE=0755 TIMER=stardust-rollback
fi

die() { printf 'error %s\n' "$*"; exit 1; }
note() { printf 'note %s\n' "$*"; }
record() { printf '%s\n' "$*" >>"$JOURNAL" || die install_failed "the journal $JOURNAL cannot be written"; }
recorded() { [ -f "$JOURNAL" ] && grep -q -x -F -e "$1" "$JOURNAL"; }

begin_journal() {
    [ -f "$JOURNAL" ] && return 0
    mkdir -m 0755 "$VAR" 2>/dev/null || [ -d "$VAR" ] || die install_failed "$VAR cannot be made"
    (umask 077 && printf 'version 1\n' >"$JOURNAL") || die install_failed "$JOURNAL cannot be written"
    sync "$JOURNAL" 2>/dev/null
    return 0
}

# Start the rollback timer. It runs this script on the server, also after a reboot. Each step restarts the timer, so it fires only if no
# further step follows.
arm() {
    [ ! -f "$JOURNAL" ] || recorded armed || die already_installed "$JOURNAL is there"
    begin_journal
    if openrc; then
        recorded armed || record armed
        (umask 077 && rollback_text >"$ROLLBACK") &&
            printf '%s\n' '#!/sbin/openrc-run' 'description="Takes back an installation of Stardust that was not finished"' command=/bin/sh \
                "command_args=\"$ROLLBACK rollback $1\"" command_background=yes "pidfile=/run/$TIMER.pid" \
                'retry="TERM/5/KILL/5"' >"$UNITS/$TIMER" &&
            chmod 0755 "$UNITS/$TIMER" && rc_quiet rc-update add "$TIMER" default || die install_failed "$UNITS cannot be written"
        sync "$JOURNAL" "$ROLLBACK" "$UNITS/$TIMER" 2>/dev/null
        restart_timer || die install_failed "$TIMER cannot be started"
        return 0
    fi
    parent "$UNITS/timers.target.wants"
    recorded armed || record armed
    mkdir -p "$UNITS/timers.target.wants" &&
        (umask 077 && rollback_text >"$ROLLBACK") &&
        printf '%s\n' '[Unit]' 'Description=Takes back an installation of Stardust that was not finished' CollectMode=inactive-or-failed \
            '[Service]' Type=oneshot "ExecStart=/bin/sh $ROLLBACK rollback" TimeoutStartSec=20min >"$UNITS/stardust-rollback.service" &&
        printf '%s\n' '[Unit]' 'Description=Waits for the end of an installation of Stardust' CollectMode=inactive-or-failed \
            '[Timer]' "OnActiveSec=$1" AccuracySec=1s >"$UNITS/$TIMER" &&
        ln -sf "../$TIMER" "$UNITS/timers.target.wants/$TIMER" || die install_failed "$UNITS cannot be written"
    sync "$JOURNAL" "$ROLLBACK" "$UNITS/stardust-rollback.service" "$UNITS/$TIMER" 2>/dev/null
    if command -v restorecon >/dev/null 2>&1; then restorecon -R "$VAR" "$UNITS" 2>/dev/null; fi
    systemctl daemon-reload && restart_timer || die install_failed "$TIMER cannot be started"
}

# Debian's start-stop-daemon without `retry` does not wait for the end of the old process, and starts no new process while the old one exists.
# A new process may not have written its pid file or executed its program yet: a stop at that moment does not find it and fails. OpenRC never
# finds a process that was killed: `zap` resets its state.
restart_timer() {
    openrc || { systemctl restart "$TIMER" 2>/dev/null; return; }
    tries=0
    until rc_quiet rc-service "$TIMER" restart && rc_timer_runs; do
        tries=$((tries + 1))
        [ $tries -lt 10 ] || return 1
        sleep 0.3
        [ $tries -lt 5 ] || rc_quiet rc-service "$TIMER" zap
    done
}

# Whether the process that rolls back runs and waits.
rc_timer_runs() {
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        case $(tr '\0' ' ' 2>/dev/null <"/proc/$(cat "/run/$TIMER.pid" 2>/dev/null)/cmdline") in "/bin/sh $ROLLBACK "*) return 0 ;; esac
        sleep 0.1
    done
    return 1
}

# A service that OpenRC starts must not inherit the lock (descriptor 9).
rc_quiet() { "$@" </dev/null >/dev/null 2>&1 9>&-; }

# End the supervisor of a service whose script was deleted; the supervisor ends its service.
rc_end() {
    pid=$(cat "/run/$1.pid" 2>/dev/null) && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = supervise-daemo ] || return 0
    kill "$pid"
    tries=0
    while [ -d "/proc/$pid" ] && [ $tries -lt 200 ]; do sleep 0.1; tries=$((tries + 1)); done
    rm -rf -- "/run/$1.pid" /run/openrc/*/"$1"
}

# End Spider and root's listener if their supervisors were killed, because no service ends them then. Runners of jobs go on.
rc_end_orphans() {
    tries=0
    while [ $tries -lt 100 ]; do
        orphans=''
        for path in $(grep -ls -F "$OPT/current/spider.pyz" /proc/[0-9]*/cmdline); do
            case $(tr '\0' ' ' <"$path" 2>/dev/null) in
            *"$OPT/current/spider.pyz " | *"$OPT/current/spider.pyz listen ") pid=${path#/proc/} orphans="$orphans ${pid%/*}" ;;
            esac
        done
        [ -n "$orphans" ] || return 0
        # shellcheck disable=SC2086  # a list of numbers
        case $tries in 0) kill $orphans ;; 99) kill -9 $orphans ;; esac 2>/dev/null
        sleep 0.1
        tries=$((tries + 1))
    done
}

# Remove Stardust's services from OpenRC: from the runlevels, its state and its cache.
rc_forget() {
    for service in "$@"; do
        rm -f -- "$UNITS/$service" /etc/runlevels/*/"$service" "/run/$service.pid" "/run/openrc/supervise-$service.ctl"
        rm -rf -- /run/openrc/*/"$service"
    done
    rc_quiet rc-update -u
}

# A step of an installation runs only while the rollback timer runs.
require_timer() {
    [ -f "$JOURNAL" ] || die rolled_back
    restart_timer || die install_failed "$TIMER cannot be started"
}

disarm() {
    if openrc; then
        [ "$action" = rollback ] || rc_quiet rc-service "$TIMER" stop
        rc_forget "$TIMER"
        rm -f -- "$ROLLBACK"
        return 0
    fi
    systemctl stop "$TIMER" >/dev/null 2>&1
    [ -e "$UNITS/$TIMER" ] || [ -e "$UNITS/stardust-rollback.service" ] || [ -e "$ROLLBACK" ] || return 0
    rm -f -- "$UNITS"/*.target.wants/"$TIMER" "$UNITS/$TIMER" "$UNITS/stardust-rollback.service" "$ROLLBACK"
    systemctl daemon-reload
}

# The timer fired. An installation whose agent has a session is kept: only the hub's `finish` did not arrive.
rollback() {
    [ -f "$JOURNAL" ] || return 0
    if ! recorded complete && new_in_place && in_session; then record complete; fi
    if recorded complete; then
        drop_previous
        disarm
    else
        remove undo
    fi
}

# Whether the installed files are those of the new installation, not of the one that it replaces.
new_in_place() { ! recorded 'again begun' || recorded 'again laid'; }

# Delete the installation that a finished one has replaced.
drop_previous() {
    shred_folder "$ETC.before"
    rm -rf -- "$OPT.before" "$ETC.before.units" "$VAR/before"
    [ ! -f "$JOURNAL" ] || ! grep -q '^again ' "$JOURNAL" || sed -i '/^again /d' "$JOURNAL"
}

# Whether Spider has a session with its hub now, by its last log event about that.
in_session() {
    active || return 1
    last_event | grep -q session_open
}

# Only events since its start: the journal also keeps those of an earlier installation.
last_event() {
    openrc || started=$(systemctl show -p InvocationID --value stardust-spider.service)
    agent_log "_SYSTEMD_INVOCATION_ID=${started-}" | grep -o '"event": "[a-z_]*"' | grep -E '"(spider_starts|session_|hub_)' | tail -n 1
}

active() { if openrc; then rc_quiet rc-service stardust-spider status; else systemctl is-active --quiet stardust-spider.service; fi; }

# Spider's log; under OpenRC since the last start of its service.
agent_log() {
    if openrc; then tail -n 200 "$LOG" 2>/dev/null; else journalctl "$@" -u stardust-spider.service -o cat --no-pager 2>/dev/null; fi
}

# Installed packages by name without version, so that a package that is only upgraded is not removed later. (All keys of rpm share one name and
# have no architecture, so their versions are added.)
packages() {
    if command -v dpkg-query >/dev/null 2>&1; then dpkg-query -W -f '${binary:Package} ${db:Status-Status}\n' | sed -n 's/ installed$//p'
    elif command -v rpm >/dev/null 2>&1; then rpm -qa --qf '%{NAME}%|ARCH?{.%{ARCH}}:{-%{VERSION}-%{RELEASE}}|\n'
    elif command -v pacman >/dev/null 2>&1; then pacman -Qq
    fi | sort
}

install_python() {
    require_timer
    scratch=$(mktemp -d) || die install_failed 'no temporary folder can be made'
    packages >"$scratch/before"
    case $1 in
    apt-get)
        DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l
        export DEBIAN_FRONTEND NEEDRESTART_MODE
        set -- -y -q -o DPkg::Lock::Timeout=120 -o APT::Keep-Downloaded-Packages=false
        apt-get "$@" install python3 >"$scratch/log" 2>&1 9>&- ||
            { apt-get "$@" update >"$scratch/log" 2>&1 9>&-; apt-get "$@" install python3 >"$scratch/log" 2>&1 9>&-; }
        ;;
    dnf | yum) "$1" -y install python3 >"$scratch/log" 2>&1 9>&- ;;
    pacman)
        pacman -S --noconfirm --needed python >"$scratch/log" 2>&1 9>&- ||
            pacman -Sy --noconfirm --needed python >"$scratch/log" 2>&1 9>&-
        ;;
    zypper)
        zypper --non-interactive install python3 >"$scratch/log" 2>&1 9>&-
        case $? in 0 | 102 | 103 | 106) ;; *) false ;; esac # installed: a reboot is due, zypper must restart, or repositories were skipped
        ;;
    *) false ;;
    esac
    status=$?
    packages >"$scratch/after"
    comm -13 "$scratch/before" "$scratch/after" | while read -r name; do record "package $name"; done
    why=$(grep -v '^ *$' "$scratch/log" 2>/dev/null | tail -n 1)
    rm -rf -- "$scratch"
    [ "$status" = 0 ] || die python3_install_failed "${why:-exit status $status}"
    note "installed $(grep -c '^package ' "$JOURNAL") packages for python3"
}

# Record a missing parent folder: the removal deletes it again if it is empty.
parent() {
    [ -d "$1" ] && return 0
    record "parent $1"
}

install_spider() {
    upload=$1 sum=$2 version=$3 launcher=$4 replaced_policy=$5
    for path in "$OPT" "$ETC/spider.conf" "$ETC/session.key" "$ETC/launch.key"; do
        if [ -e "$path" ] || [ -L "$path" ]; then die already_installed "$path is there"; fi
    done
    [ ! -L "$ETC" ] || die already_installed "$ETC is a link"
    for unit in $UNIT_FILES; do
        if [ -e "$UNITS/$unit" ] || [ -L "$UNITS/$unit" ]; then die already_installed "$UNITS/$unit is there"; fi
    done
    if ! recorded 'again laid'; then
        if getent passwd stardust >/dev/null; then die name_in_use user; fi
        if getent group stardust >/dev/null; then die name_in_use group; fi
    fi
    [ -d "$upload" ] && [ ! -L "$upload" ] || die upload_damaged
    require_timer
    parent /opt
    openrc || parent "$UNITS/multi-user.target.wants"
    openrc || parent "$UNITS/sockets.target.wants"
    record "user stardust"
    record "spider $version"
    sync "$JOURNAL" 2>/dev/null

    # Everything is copied to a folder that only root can write, and is checked there.
    staging=$VAR/staging
    mkdir -m 0700 "$staging" || die install_failed "$staging cannot be made"
    for file in "$upload"/*; do
        [ -f "$file" ] && [ ! -L "$file" ] || die upload_damaged
        cp -- "$file" "$staging/" || die install_failed "no room in $VAR"
    done
    [ "$(sha256sum <"$staging/manifest")" = "$sum  -" ] || die upload_damaged
    (cd "$staging" && sha256sum -c --status manifest) || die upload_damaged

    shell=/usr/sbin/nologin
    [ -x "$shell" ] || shell=/sbin/nologin
    [ -x "$shell" ] || shell=/bin/false
    getent group stardust >/dev/null || groupadd -r stardust || die install_failed 'the group stardust cannot be made'
    getent passwd stardust >/dev/null || useradd -r -l -M -N -g stardust -d "$VAR" -s "$shell" -c 'Stardust agent' stardust ||
        die install_failed 'the user stardust cannot be made'

    mkdir -m 0755 -p "$OPT/$version" && chmod 0755 "$OPT" &&
        place 0644 root:root spider.pyz "$OPT/$version/spider.pyz" &&
        ln -s "$version" "$OPT/current" || die install_failed "$OPT cannot be written"
    mkdir -p "$ETC" && chown root:root "$ETC" && chmod 0755 "$ETC" || die install_failed "$ETC cannot be written"
    place_policy "$replaced_policy"
    place 0644 root:root spider.conf "$ETC/spider.conf" &&
        place 0600 stardust:stardust session.key "$ETC/session.key" || die install_failed "$ETC cannot be written"
    mkdir -m 0700 -p "$VAR/spider" "$VAR/started" && chown stardust:stardust "$VAR/spider" &&
        mkdir -p "$VAR/jobs" && chown root:stardust "$VAR/jobs" && chmod 2750 "$VAR/jobs" ||
        die install_failed "$VAR cannot be written"
    units=${UNIT_FILES%% *}
    if [ "$launcher" = yes ]; then
        place 0600 root:root launch.key "$ETC/launch.key" || die install_failed "$ETC cannot be written"
        units=$UNIT_FILES
    fi
    for unit in $units; do
        place "$UNIT_MODE" root:root "$unit" "$UNITS/$unit" || die install_failed "$UNITS cannot be written"
    done
    install_command
    shred_folder "$staging"
    sweep_uploads
    if command -v restorecon >/dev/null 2>&1; then restorecon -R "$OPT" "$ETC" "$VAR" "$UNITS" 2>/dev/null; fi
    openrc || systemctl daemon-reload || die install_failed 'systemctl daemon-reload failed'
}

# The command is below /opt, because /usr may be read-only; then there is no link. Another program's file at the link's path stays.
install_command() {
    python=$(sed -n 's/^ExecStart=\([^ ]*\) .*/\1/p; s/^command="\{0,1\}\([^" ]*\).*/\1/p' "$UNITS/${UNIT_FILES%% *}" | head -n 1)
    # Any other word goes to the present version, so that a word that comes with an update works at once.
    printf '%s\n' '#!/bin/sh' 'case ${1-} in' 'launch | listen | run | rollback) status=64; exec >&2 ;;' \
        "[a-z]* | --version) exec ${python:-/usr/bin/python3} -I -B $OPT/current/spider.pyz \"\$@\" ;;" \
        '-h | --help) status=0 ;;' '*) status=64; exec >&2 ;;' 'esac' "cat <<'END'" \
        'usage: stardust-spider [--help | --version | status | keys [restore [GENERATION]] | orders reset | event TYPE [MESSAGE] | uninstall]' \
        '  status        which hub this server reports to, what that may do here, and whether it is connected' \
        '  keys          which generation of keys is in use, and which former ones are kept' \
        '  keys restore  use a former pair of keys again: for a server that its hub does not know any more, after new keys that were not wanted' \
        '  orders reset  forget when the latest order was issued: for a server that refuses every order as outdated, since clocks ran ahead' \
        '  event         report an event of this server, such as a backup, to the hub; event --help says more' \
        '  uninstall     take Stardust off this server, and tell its hub' END 'exit $status' >"$COMMAND.new" &&
        chmod 0755 "$COMMAND.new" && mv -- "$COMMAND.new" "$COMMAND" || die install_failed "$OPT cannot be written"
    for link in $LINKS; do
        [ -d "${link%/*}" ] || continue
        if [ "$(readlink "$link")" = "$COMMAND" ]; then return 0; fi
        if [ -e "$link" ] || [ -L "$link" ]; then
            note "$link is somebody else's and stays: the command here is $COMMAND"
        else
            ln -s "$COMMAND" "$link" 2>/dev/null || note "$link cannot be made: the command here is $COMMAND"
        fi
        return 0
    done
}

# Remove Stardust's links once their target is gone.
drop_links() {
    for link in $LINKS; do
        if [ "$(readlink "$link")" = "$COMMAND" ] && [ ! -e "$COMMAND" ]; then rm -f -- "$link" 2>/dev/null; fi
    done
}

place() {
    (umask 077 && cp -- "$staging/$3" "$4") && chown "$2" "$4" && chmod "$1" "$4"
}

# The policy file is the owner's. One that is here stays, unless the order names its SHA-256. The journal has the SHA-256 of what was written,
# so that an undo deletes only that.
place_policy() {
    policy=$ETC/policy.conf
    if [ ! -e "$policy" ] && [ ! -L "$policy" ]; then
        [ -z "$1" ] || die policy_changed
    elif [ -z "$1" ]; then
        note "the policy file $policy stays as it is"
        return 0
    else
        [ "$(policy_sum)" = "$1" ] || die policy_changed
        mkdir -p -m 0700 "$VAR/before" && cp -p -- "$policy" "$VAR/before/policy.conf" && sync "$VAR/before/policy.conf" || die install_failed "no room in $VAR"
    fi
    record "policy $(sha256sum <"$staging/policy.conf" | cut -c 1-64)"
    sync "$JOURNAL" 2>/dev/null
    place 0644 root:root policy.conf "$policy.new" && mv -T -- "$policy.new" "$policy" || die install_failed "$ETC cannot be written"
}

policy_sum() { [ -f "$ETC/policy.conf" ] && [ ! -L "$ETC/policy.conf" ] && sha256sum <"$ETC/policy.conf" | cut -c 1-64; }

# Take back what this installation did to the policy file. If the file's owner has edited it meanwhile, the owner's word stays.
restore_policy() {
    if sum=$(policy_sum) && [ "$(sed -n 's/^policy //p' "$JOURNAL" 2>/dev/null | tail -n 1)" = "$sum" ]; then
        if [ -f "$VAR/before/policy.conf" ]; then mv -f -- "$VAR/before/policy.conf" "$ETC/policy.conf"; else rm -f -- "$ETC/policy.conf"; fi
    fi
    rm -f -- "$VAR/before/policy.conf"
}

# What the owner of the server writes: the policy file, and the programs that it names. Only a removal deletes them.
only_owners() { [ -d "$1" ] && [ ! -L "$1" ] && [ -z "$(find "$1" -mindepth 1 -maxdepth 1 ! -name policy.conf ! -name actions.d 2>/dev/null)" ]; }

# Empty Stardust's folder of settings, but for what its owner writes.
clear_settings() {
    [ -d "$ETC" ] && [ ! -L "$ETC" ] || return 0
    shred_keys "$ETC"
    find "$ETC" -mindepth 1 -maxdepth 1 ! -name policy.conf ! -name actions.d -exec rm -rf -- {} + 2>/dev/null
}

# Delete a folder; overwrite its keys first if root owns it. In a folder of another owner a file may become a link at any moment.
shred_folder() {
    [ -d "$1" ] && [ ! -L "$1" ] || return 0
    shred_keys "$1"
    rm -rf -- "$1"
}

shred_keys() {
    [ "$(stat -c %u "$1")" = 0 ] || return 0
    for key in "$1/session.key" "$1/launch.key" "$1/former.keys"; do
        [ -f "$key" ] && [ ! -L "$key" ] && command -v shred >/dev/null 2>&1 && shred -u -n 1 -- "$key"
    done
}

# Delete this upload, and uploads left by deployments whose hub was killed: only one deployment at a time works on a server. Any user may make
# such a folder and replace a file in it by a link at any moment. So root writes nothing there; keys are overwritten as the folder's owner.
sweep_uploads() {
    for folder in /tmp/stardust-upload.??????????; do
        [ -d "$folder" ] && [ ! -L "$folder" ] || continue
        owner=$(stat -c '%u %g' "$folder") || continue
        if [ -f "$folder/session.key" ] && command -v shred >/dev/null 2>&1 && command -v setpriv >/dev/null 2>&1; then
            timeout -s KILL 2 setpriv --reuid "${owner% *}" --regid "${owner#* }" --clear-groups \
                shred -u -n 1 -- "$folder/session.key" "$folder/launch.key" >/dev/null 2>&1 9>&-
        fi
        rm -rf -- "$folder"
    done
}

start_units() {
    require_timer
    if openrc; then
        for unit in $UNIT_FILES; do
            [ ! -e "$UNITS/$unit" ] || { rc_quiet rc-update add "$unit" default && rc_quiet rc-service "$unit" start; } || die start_failed "$unit: $(failure_text)"
        done
        active || die start_failed "$(failure_text)"
        return 0
    fi
    # The reload at the end of the installation reads the links of `enable`: a reload costs a server more than the rest of a step.
    if [ "$1" = yes ]; then
        out=$(systemctl enable --no-reload stardust-launcher.socket 2>&1 && systemctl start stardust-launcher.socket 2>&1) ||
            die start_failed "launcher socket: $(last_line "$out")"
    fi
    out=$(systemctl enable --no-reload stardust-spider.service 2>&1 && systemctl start stardust-spider.service 2>&1) ||
        die start_failed "$(failure_text)"
    active || die start_failed "$(failure_text)"
}

last_line() { printf '%s\n' "$1" | grep -v -e '^ *$' -e '^See ' | tail -n 1; }

# Why Spider did not start: the error that it printed, else its last lines, else systemd's lines. On a busy server the journal gets a program's
# last lines a moment after its end.
failure_text() {
    for _ in 1 2 3; do
        lines=$(agent_log -n 20 -S "@$(stat -c %Y "$ROLLBACK" 2>/dev/null || printf 0)" | tail -n 20 | cut -c 1-400 | grep -v ', ignoring: ')
        own=$(printf '%s\n' "$lines" | grep -v -e '^ *$' -e '^{.*"level": "info"' -e '^stardust-spider\.service: ' -e '^/[^ ]*:[0-9]*: ' -e '^Start' -e '^Stop' -e '^Failed to start')
        words=$(printf '%s\n' "$own" | grep -E '^[A-Za-z_][A-Za-z0-9_.]*(Error|Exception|Exit)(:|$)' | tail -n 1)
        [ -n "$words" ] || words=$(printf '%s\n' "$own" | tail -n 2)
        [ -z "$words" ] || break
        sleep 1
    done
    for kind in ': Failed at step' 'service: (Failed|Unable) to' 'process exited' 'Failed to start'; do
        [ -n "$words" ] || words=$(printf '%s\n' "$lines" | grep -E -e "$kind" | tail -n 1)
    done
    printf '%s' "${words:-$(state)}" | tr -c '[:print:]' ' ' | cut -c 1-300
}

state() {
    if openrc; then rc-service stardust-spider status 2>&1 9>&- | tr '\n' ' '; return 0; fi
    systemctl show stardust-spider.service -p ActiveState -p SubState -p Result -p ExecMainStatus -p NRestarts 2>/dev/null | tr '\n' ' '
}

status() {
    note "hub        $(sed -n 's/^ *url *= *//p' "$ETC/spider.conf")"
    if ! active; then found='Spider does not run'
    else
        case $(last_event) in *session_open*) found=connected ;; '') found='Spider runs' ;; *) found='Spider runs, and is not connected' ;; esac
    fi
    note "state      $found"
}

diagnose() {
    if in_session; then printf 'in session\n'; fi
    printf 'log state %s\n' "$(state)"
    agent_log -n 40 -S "@$(stat -c %Y "$ROLLBACK" 2>/dev/null || printf 0)" | tail -n 40 | while IFS= read -r line; do printf 'log %s\n' "$line"; done
}

finish() {
    [ -f "$JOURNAL" ] || die rolled_back
    recorded complete || record complete
    sync "$JOURNAL" 2>/dev/null
    drop_previous
    disarm
}

undo() {
    sweep_uploads
    if [ "$1" = unlaid ] && ! recorded 'again begun'; then
        rm -rf -- "$VAR/before" "$JOURNAL.new"
        rmdir -- "$VAR" 2>/dev/null
        return 0
    fi
    if [ ! -f "$JOURNAL" ]; then
        rmdir -- "$VAR" 2>/dev/null
        return 0
    fi
    [ "$1" = whole ] || ! recorded complete || die already_installed 'it is finished'
    remove undo
}

job_runs() {
    if openrc; then
        [ -z "${STARDUST_HOLDS_LOCK-}" ] && [ -e "$VAR/jobs/.lock" ] && ! flock -n "$VAR/jobs/.lock" true
    else
        systemctl list-units --no-legend --plain --state=active,activating,deactivating 'stardust-job@*' 2>/dev/null | grep -q .
    fi
}

# The hub knows the end of a job a moment before its unit has ended.
no_job_runs() {
    seconds=0
    while job_runs; do
        [ "$seconds" -lt 5 ] || die job_running
        sleep 1
        seconds=$((seconds + 1))
    done
}

stop_units() {
    no_job_runs
    if openrc; then
        for unit in $UNIT_FILES; do
            if [ -e "$UNITS/$unit" ]; then
                rc_quiet rc-update del "$unit" default
                rc_quiet rc-service "$unit" stop
            else
                rc_end "$unit"
            fi
        done
        rc_end_orphans
        return 0
    fi
    systemctl disable --now stardust-spider.service stardust-launcher.socket >/dev/null 2>&1
    systemctl stop 'stardust-launcher@*.service' >/dev/null 2>&1
}

remove() {
    why=$1
    parents='' ours=no taken=''
    if [ -f "$JOURNAL" ]; then
        parents=$(sed -n 's/^parent //p' "$JOURNAL")
        taken=$(sed -n 's/^package //p' "$JOURNAL")
    fi
    if [ "$why" = undo ] && recorded 'again begun'; then
        command -v restore_previous >/dev/null || die already_installed 'it is being deployed again'
        restore_previous
        return 0
    fi
    # An unfinished installation without a `spider` line has not copied any files yet.
    if [ "$why" = undo ] && ! grep -q '^spider ' "$JOURNAL"; then
        sweep_uploads
        drop_own_packages
        disarm
        for folder in $parents; do rmdir -- "$folder" 2>/dev/null; done
        rm -rf -- "$VAR"
        return 0
    fi
    stop_units
    # From here on the installation counts as unfinished: after an interruption, adding the server again removes the rest.
    [ "$why" = undo ] || { sed -i '/^complete$/d' "$JOURNAL" && sync "$JOURNAL"; } 2>/dev/null
    for unit in $UNIT_FILES; do
        rm -f -- "$UNITS/$unit" "$UNITS"/*.target.wants/"$unit"
        # An undo keeps settings that an administrator put beside the units: they were there before the installation.
        [ "$why" = undo ] || rm -rf -- "$UNITS/$unit.d" "/run/systemd/system/$unit.d" "/etc/conf.d/$unit"
    done
    if openrc; then
        # shellcheck disable=SC2086  # a list of names without blanks
        rc_forget $UNIT_FILES
        rm -f -- "$LOG" "$LOG.1" "${LOG%/*}/stardust-launcher.log" "${LOG%/*}/stardust-launcher.log.1"
    else
        systemctl daemon-reload
        systemctl reset-failed 'stardust-spider.service' 'stardust-launcher*' 'stardust-job@*' >/dev/null 2>&1
        systemctl stop 'system-stardust\x2dlauncher.slice' 'system-stardust\x2djob.slice' >/dev/null 2>&1
    fi
    if end_account_programs; then ours=yes; elif getent passwd stardust >/dev/null; then note 'the user stardust is not ours and stays'; fi
    if [ "$why" = removal ]; then
        shred_folder "$ETC"
    else
        [ "$why" = clear ] || restore_policy
        clear_settings
        rmdir -- "$ETC" 2>/dev/null
    fi
    shred_folder "$VAR/staging"
    rm -rf -- /run/stardust /run/stardust-spider "$OPT"
    drop_links
    drop_previous
    find "$VAR" -mindepth 1 -maxdepth 1 ! -name installed ! -name rollback -exec rm -rf -- {} + 2>/dev/null
    if [ "$ours" = yes ]; then
        if getent passwd stardust >/dev/null; then userdel stardust >/dev/null 2>&1; fi
        if getent group stardust >/dev/null; then groupdel stardust >/dev/null 2>&1; fi
    fi
    drop_own_packages
    # Last, so that after a power failure at this point the timer continues at the next boot.
    disarm
    [ "$why" = undo ] || rm -rf -- "$UNITS"/stardust-rollback.*.d "/etc/conf.d/$TIMER"
    for folder in $parents; do rmdir -- "$folder" 2>/dev/null; done
    rm -rf -- "$VAR"
    sweep_uploads
    if [ "$why" != removal ]; then search; fi
}

# End the programs of Stardust's own account, which the journal or its home folder identifies; an account that somebody else made is not
# touched. The programs end before root deletes their folders, because not every rm notices a folder that becomes a link meanwhile.
end_account_programs() {
    recorded 'user stardust' || case $(getent passwd stardust) in *:"$VAR":*) ;; *) return 1 ;; esac
    end_programs
    return 0
}

# A process that outlives its service keeps the account's uid, which another account may get one day.
end_programs() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        # shellcheck disable=SC2046  # a list of numbers
        set -- $(stat -c '%U %n' /proc/[0-9]* 2>/dev/null | sed -n 's#^stardust /proc/##p')
        [ $# -gt 0 ] || return 0
        kill -9 "$@" 2>/dev/null
        sleep 0.2
    done
}

drop_own_packages() {
    [ -n "$taken" ] || return 0
    # shellcheck disable=SC2086  # a list of package names without blanks
    if [ "$why" = undo ]; then drop_packages $taken; else note 'python3 was installed for Stardust and stays: other programs may use it by now'; fi
}

# Remove exactly these packages. If another package needs one of them by now, all of them stay.
drop_packages() {
    if command -v dpkg >/dev/null 2>&1; then
        DEBIAN_FRONTEND=noninteractive dpkg --purge "$@" >/dev/null 2>&1 || printf 'left %s\n' "the packages $*"
    elif command -v rpm >/dev/null 2>&1; then
        rpm -e "$@" >/dev/null 2>&1 || printf 'left %s\n' "the packages $*"
    elif command -v pacman >/dev/null 2>&1; then
        pacman -R --noconfirm "$@" >/dev/null 2>&1 || printf 'left %s\n' "the packages $*"
    fi
}

# Print what is left. A hub installed as a service (stardust-hub) does not count.
search() {
    for path in "$OPT" "$ETC" "$VAR" /run/stardust "$OPT.before" "$ETC.before" "$ETC.before.units"; do
        [ "$path" != "$ETC" ] || [ "${why-removal}" = removal ] || ! only_owners "$ETC" || continue
        if [ -e "$path" ] || [ -L "$path" ]; then printf 'left %s\n' "$path"; fi
    done
    for path in $LINKS; do [ "$(readlink "$path")" != "$COMMAND" ] || printf 'left %s\n' "$path"; done
    find /etc/init.d /etc/conf.d /etc/runlevels /run/openrc /var/log /etc/systemd /run/systemd/system /usr/lib/systemd/system /lib/systemd/system /etc/sysusers.d /etc/tmpfiles.d \
        \( -name 'stardust-spider*' -o -name 'stardust-launcher*' -o -name 'stardust-job*' -o -name 'stardust-rollback*' -o -name 'supervise-stardust-*' -o -name stardust.conf \) \
        2>/dev/null | while IFS= read -r path; do
        case "${why-} $path" in "undo "*.d | "undo /etc/conf.d/"*) ;; *) printf 'left %s\n' "$path" ;; esac
    done
    for path in /tmp/stardust-upload.??????????; do [ ! -d "$path" ] || printf 'left %s\n' "$path"; done
    systemctl list-units --all --no-legend --plain 'stardust-spider*' 'stardust-launcher*' 'stardust-job@*' 'stardust-rollback*' 2>/dev/null |
        while read -r unit _; do printf 'left the unit %s\n' "$unit"; done
    case $(getent passwd stardust) in *:"$VAR":*) printf 'left the user stardust\n' ;; esac
    if getent group stardust >/dev/null && ! getent passwd stardust >/dev/null; then printf 'left the group stardust\n'; fi
}

# A slow `start` holds the lock, which an undo needs. Stopping the unit ends that `start`. A finished or an earlier installation is not
# stopped.
stop_slow_start() {
    if openrc || recorded complete || ! recorded armed || ! new_in_place; then return 0; fi
    systemctl stop stardust-spider.service >/dev/null 2>&1
}

main() {
    LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
    export LC_ALL PATH
    umask 022
    cd / || exit 1
    exec 9</var/lib
    action=$1
    shift
    patience=60
    case $action in rollback) patience=1200 ;; command) patience=0 ;; esac
    if [ "$action" = rollback ] && [ -n "${1-}" ]; then
        trap 'kill $!; exit 0' TERM
        sleep "$1" 9>&- &
        wait $!
        trap - TERM
    fi
    # A broken connection must not interrupt an action. (`python` keeps the signals, because scripts of package managers rely on them.)
    [ "$action" = python ] || trap '' HUP PIPE
    if [ "$action" = undo ]; then flock -w 1 9 || stop_slow_start; fi
    [ "$action" = status ] || flock -w "$patience" 9 || die busy
    case $action in
    arm) arm "$1" ;;
    python) install_python "$1" ;;
    install) install_spider "$1" "$2" "$3" "$4" "${5-}" ;;
    start) start_units "$1" ;;
    finish) finish ;;
    diagnose) diagnose ;;
    status) status ;;
    command) if recorded complete && ! grep -Fqs '[a-z]* | --version)' "$COMMAND"; then install_command; fi ;;
    stop) stop_units ;;
    remove) remove removal ;;
    clear) remove clear ;;
    rollback) rollback ;;
    undo) undo "${1-}" ;;
    search) search ;;
    arm_replace | stash) "$action" "$@" ;; # of replace.sh
    *) die install_failed "unknown action $action" ;;
    esac
    printf 'ok\n'
}
main "$@" </dev/null
exit $?
