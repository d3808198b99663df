# One action for the configuration of this machine. The head sets ACTION, CHECKOUT, CHECKOUT_USER, FLAKE, TESTS and PATH.
set -u
PROFILE=${PROFILE:-/nix/var/nix/profiles/system}
SESSION_LIMIT_S=${SESSION_LIMIT_S:-120}
TEST_LIMIT_S=${TEST_LIMIT_S:-600}

as_owner() { if [ "$(id -un)" = "$CHECKOUT_USER" ]; then "$@"; else setpriv --reuid "$CHECKOUT_USER" --regid "$(id -g "$CHECKOUT_USER")" --init-groups --reset-env "$(command -v env)" "PATH=$PATH" "$@"; fi; }
# Hooks of the checkout never run, and nothing asks for a password.
git_() { as_owner env GIT_TERMINAL_PROMPT=0 git -C "$CHECKOUT" -c core.hooksPath=/dev/null -c core.fsmonitor=false "$@"; }
revision() { git_ rev-parse HEAD 2>/dev/null || echo unknown; }
generation() { readlink "$PROFILE" | sed -n 's/^.*system-\([0-9]*\)-link$/\1/p'; }
in_session() {
    started=$(systemctl show -p InvocationID --value stardust-spider.service)
    journalctl "_SYSTEMD_INVOCATION_ID=$started" -u stardust-spider.service -o cat --no-pager 2>/dev/null |
        grep -o '"event": "[a-z_]*"' | grep -E '"(spider_starts|session_|hub_)' | tail -n 1 | grep -q session_open
}

pull() {
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

# rebuild WORD...: what nixos-rebuild did, judged by the generation and not only by its status.
rebuild() {
    before=$(generation) link=$(readlink -f "$PROFILE")
    was_in_session=no
    ! in_session || was_in_session=yes
    status=0
    nixos-rebuild "$@" ${FLAKE:+--flake "$FLAKE"} || status=$?
    after=$(generation)
    echo "generation ${before:-unknown} -> ${after:-unknown}"
    if [ "$(readlink -f "$PROFILE")" != "$link" ]; then
        nix --extra-experimental-features nix-command store diff-closures "$link" "$PROFILE" 2>/dev/null || echo "the changed packages are not known"
    fi
    case $status in
        0) ;;
        4) echo "the new system is active, but some units failed:"; systemctl --failed --no-legend --plain ;;
        *) if [ "$before" != "$after" ]; then echo "switched, with failures (status $status)"; fi; return "$status" ;;
    esac
    [ "$was_in_session" = yes ] || { echo "Spider had no session before, so nothing waits for one now"; return "$status"; }
    waited=0
    until in_session; do
        if [ "$waited" -ge "$SESSION_LIMIT_S" ]; then
            echo "no session with the hub for $SESSION_LIMIT_S s: going back to generation $before"
            nixos-rebuild switch --rollback && echo "rolled back to generation $(generation)"
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

case $ACTION in
    pull) pull ;;
    switch) rebuild switch ;;
    pull-switch) pull && rebuild switch ;;
    test) run_tests ;;
    rollback) FLAKE='' && rebuild switch --rollback ;;
esac
