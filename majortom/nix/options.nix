# The options of services.stardust-spider, for: nixos, home-manager, or nix-darwin, where the hub can order nothing.
{ lib, pkgs, for ? "nixos" }:
let inherit (lib) mkOption mkEnableOption types; in {
  enable = mkEnableOption "Spider, the agent of Stardust";
  package = mkOption {
    type = types.package;
    default = pkgs.callPackage ./package.nix { };
    defaultText = lib.literalExpression "pkgs.callPackage ./package.nix { }";
    description = "The agent.";
  };
  # A string and not types.path: a path literal would copy the secret into the store, which everybody can read.
  inviteFile = mkOption {
    type = types.nullOr (types.addCheck (types.strMatching "/[^\n'\"$`\\]*") (path: !lib.hasPrefix builtins.storeDir path));
    default = null;
    example = "/run/agenix/stardust-invite";
    description = "File with an invite or organisation secret, outside the store. It is read once; the invite has the hub's address.";
  };
  location = mkOption {
    type = types.nullOr (types.strMatching "[^[:cntrl:]]{1,40}");
    default = null;
    example = "home";
    description = "Where this machine is, as the page shows it; by patterns of names at the hub when null.";
  };
  revision = mkOption {
    type = types.nullOr (types.strMatching "[0-9a-f]{7,64}(-dirty)?");
    default = null;
    example = lib.literalExpression "self.rev or null";
    description = "Revision of git of this configuration, as the page shows it; system.configurationRevision when null, where there is one.";
  };
} // lib.optionalAttrs (for != "nix-darwin") {
  policy = mkOption {
    type = types.enum [ "monitor" "managed" ];
    default = "monitor";
    description = "monitor: the hub can order nothing. managed: it can order the actions, and on NixOS the units and a reboot where you allow them.";
  };
  actions = mkOption {
    type = types.listOf (types.enum [ "pull" "switch" "pull-switch" "test" "rollback" ]);
    default = [ "pull" "switch" "pull-switch" "test" "rollback" ];
    description = "What the hub may order of this configuration, in managed.";
  };
  configuration = {
    path = mkOption { type = types.nullOr (types.strMatching "/[^ \n'\"$`\\]*"); default = null; example = "/home/admin/nixcfg"; description = "Checkout of the configuration; absolute."; };
    attribute = mkOption { type = types.nullOr (types.strMatching "[A-Za-z0-9_.@-]+"); default = null; description = "Name in nixosConfigurations or homeConfigurations; null: the host's name, or what home-manager chooses. Not for a configuration without a flake."; };
    flake = mkOption { type = types.bool; default = true; description = "Whether the configuration is a flake; else its path has configuration.nix, or home.nix."; };
    tests = mkOption { type = types.strMatching "[A-Za-z0-9_./*-]+"; default = "tests/*.sh"; description = "Test scripts of the action `test`, relative to the checkout."; };
  } // lib.optionalAttrs (for == "nixos") {
    user = mkOption { type = types.nullOr (types.strMatching "[a-z_][a-z0-9_-]*"); default = null; description = "Owner of the checkout. git and the tests run as this user, never as root."; };
  };
} // lib.optionalAttrs (for == "nixos") {
  reboot = mkOption { type = types.bool; default = false; description = "Whether the hub may reboot this node, in managed."; };
  units = mkOption { type = types.listOf types.str; default = [ ]; example = [ "nginx.service" ]; description = "Units that the hub may start, stop, restart and reload, in managed."; };
}
