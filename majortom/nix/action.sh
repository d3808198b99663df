# One action for the configuration of this machine, or of one user of it. The head sets ACTION, CHECKOUT, CHECKOUT_USER, FLAKE, TESTS, PATH,
# PROFILE (the link of the generations), REBUILD (nixos-rebuild or home-manager), PROGRESS (the words before it) and MANAGER (of systemd).
set -u
SESSION_LIMIT_S=${SESSION_LIMIT_S:-120}
ACTIVATION_LIMIT_S=${ACTIVATION_LIMIT_S:-600}
TEST_LIMIT_S=${TEST_LIMIT_S:-600}

as_owner() { if [ "$(id -un)" = "$CHECKOUT_USER" ]; then "$@"; else setpriv --reuid "$CHECKOUT_USER" --regid "$(id -g "$CHECKOUT_USER")" --init-groups --reset-env "$(command -v env)" "PATH=$PATH" "$@"; fi; }
# Hooks of the checkout never run, and nothing asks for a password.
git_() { as_owner env GIT_TERMINAL_PROMPT=0 git -C "$CHECKOUT" -c core.hooksPath=/dev/null -c core.fsmonitor=false "$@"; }
revision() { git_ rev-parse HEAD 2>/dev/null || echo unknown; }
generation() { readlink "$PROFILE" | sed -n 's/^.*-\([0-9]*\)-link$/\1/p'; }
in_session() {
    started=$(systemctl "$MANAGER" show -p InvocationID --value stardust-spider.service)
    journalctl "$MANAGER" "_SYSTEMD_INVOCATION_ID=$started" -o cat --no-pager 2>/dev/null |
        grep -o '"event": "[a-z_]*"' | grep -E '"(spider_starts|session_|hub_)' | tail -n 1 | grep -q session_open
}

pull() {
    command -v git >/dev/null || { echo "git is missing: nothing was done"; return 1; }
    [ -d "$CHECKOUT/.git" ] || { echo "$CHECKOUT is no checkout of git: nothing was done"; return 1; }
    dirty=$(git_ status --porcelain) || return 1
    if [ -n "$dirty" ]; then
        echo "the checkout has changes that are not committed: nothing was done"
        echo "$dirty"
        return 1
    fi
    before=$(revision)
    git_ fetch --quiet || { echo "the remote does not answer: nothing was done"; return 1; }
    if ! git_ merge --ff-only --quiet '@{upstream}'; then
        echo "the checkout and its remote have diverged, or it follows no branch: nothing was done"
        return 1
    fi
    after=$(revision)
    if [ "$before" = "$after" ]; then echo "revision $after, as before"; else
        echo "revision $before -> $after"
        git_ log --format='  %h %s' "$before..$after"
    fi
}

# A switch to a flake, or to a file of the checkout.
switch() {
    set -- switch --log-format internal-json -v
    if [ -n "$FLAKE" ]; then rebuild "$@" --flake "$FLAKE"
    elif [ "$REBUILD" = home-manager ]; then rebuild "$@" -f "$CHECKOUT/home.nix"
    else rebuild "$@" -I "nixos-config=$CHECKOUT/configuration.nix"; fi
}

# Back to the generation before, whichever way the profile was moved.
go_back() {
    nix-env --profile "$PROFILE" --switch-generation "$before" || return
    if [ "$REBUILD" = home-manager ]; then "$PROFILE/activate" --driver-version 1; else "$PROFILE/bin/switch-to-configuration" switch; fi
}

# rebuild WORD...: the way back stands ready before it begins, in a session of its own: it works even if this action is ended half way.
rebuild() {
    was_in_session=no
    ! in_session || was_in_session=yes
    exec 3>&1
    {
        status=0
        # shellcheck disable=SC2086  # several words
        $PROGRESS "$REBUILD" "$@" >&3 2>&3 || status=$?
        echo "$status"
    } | setsid "$0" way-back "$(generation)" "$(readlink -f "$PROFILE")" "$was_in_session" >&3
}

# way_back GENERATION LINK YES_OR_NO: what was before, and whether Spider had a session. Reads the status of the rebuild, or the end of the action.
# It judges what was done by the generation, not by the status alone; its own status is that of the action.
way_back() {
    before=$1 link=$2 was_in_session=$3
    trap '' HUP INT TERM
    read -r status || status=ended
    waited=0
    # An activation goes on in a unit of its own when its nixos-rebuild is gone.
    while [ "$status" = ended ] && [ "$waited" -lt "$ACTIVATION_LIMIT_S" ] && systemctl "$MANAGER" is-active --quiet nixos-rebuild-switch-to-configuration.service; do
        sleep 1
        waited=$((waited + 1))
    done
    after=$(generation)
    echo "generation ${before:-unknown} -> ${after:-unknown}"
    moved=no
    if [ "$(readlink -f "$PROFILE")" != "$link" ]; then
        moved=yes
        nix --extra-experimental-features nix-command store diff-closures "$link" "$PROFILE" 2>/dev/null || echo "the changed packages are not known"
    fi
    case $status in
        0) ;;
        4) echo "the new system is active, but some units failed:"; systemctl "$MANAGER" --failed --no-legend --plain ;;
        *)
            [ "$moved" = yes ] || { [ "$status" != ended ] || status=1; return "$status"; }
            echo "switched, with failures (status $status)"
            [ "$status" != ended ] || status=1
            ;;
    esac
    [ "$was_in_session" = yes ] || { echo "Spider had no session before, so nothing waits for one now"; return "$status"; }
    waited=0
    until in_session; do
        if [ "$waited" -ge "$SESSION_LIMIT_S" ]; then
            echo "no session with the hub for $SESSION_LIMIT_S s: going back to generation $before"
            if go_back; then echo "rolled back to generation $(generation)"; else echo "the way back failed: generation $(generation) is active"; fi
            return 1
        fi
        sleep 1
        waited=$((waited + 1))
    done
    return "$status"
}

run_tests() {
    found=0 failed=0
    for script in "$CHECKOUT"/$TESTS; do
        [ -f "$script" ] || continue
        found=$((found + 1)) status=0
        as_owner timeout -k 5 "$TEST_LIMIT_S" sh "$script" || status=$?
        if [ "$status" = 0 ]; then echo "passed: ${script#"$CHECKOUT"/}"; else failed=$((failed + 1)); echo "failed with $status: ${script#"$CHECKOUT"/}"; fi
    done
    [ "$found" -gt 0 ] || { echo "there is no test $TESTS"; return 1; }
    echo "$((found - failed)) of $found tests passed"
    [ "$failed" = 0 ]
}

case ${1:-$ACTION} in
    pull) pull ;;
    switch) switch ;;
    pull-switch) pull && switch ;;
    test) run_tests ;;
    rollback) rebuild switch --rollback ;;
    way-back) way_back "$2" "$3" "$4" ;; # of this file alone: an order has no words
esac
