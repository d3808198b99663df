# What the join tells of a machine whose configuration installs Spider (NixOS, nix-darwin, Home Manager). It changes nothing.
# Account, units and policy are the configuration's, and PATH has its programs: the folders of other systems are not there.
ETC=${STARDUST_ETC:-/etc/stardust}

say() { printf '%s=%s\n' "$1" "$2"; }

say nixos_module yes
say uid "$(id -u)"
say kernel "$(uname -s)"
say arch "$(uname -m)"
say hostname "$(uname -n)"
say clock "$(date +%s)"
python=$(command -v python3)
say python "$python"
say python_version "$("$python" -I -S -B -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])')"
for key in id fleet; do
    value=$(sed -n "s/^ *$key *= *\([0-9a-hjkmnp-tv-z]\{26\}\) *\$/\1/p" "$ETC/spider.conf" 2>/dev/null)
    [ -z "$value" ] || say "existing_$key" "$value"
done
say policy_file yes
say existing_policy "${STARDUST_POLICY:-monitor}"
printf 'ok\n'
