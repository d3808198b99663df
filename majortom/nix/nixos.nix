# Spider on NixOS: the units of every other system, a policy file from these options, and actions for the configuration of this machine.
{ config, lib, pkgs, ... }:
let
  cfg = config.services.stardust-spider;
  shared = import ./shared.nix { inherit lib pkgs cfg; };
  managed = cfg.policy == "managed";
  allowed = lib.optional (cfg.actions != [ ]) "action-run" ++ lib.optional cfg.reboot "reboot"
    ++ lib.optionals (cfg.units != [ ]) [ "unit-start" "unit-stop" "unit-restart" "unit-reload" ];
  programs = [ config.nix.package pkgs.git pkgs.openssh pkgs.util-linux pkgs.coreutils pkgs.gnugrep pkgs.gnused pkgs.bash pkgs.systemd config.system.build.nixos-rebuild ];
  target = if cfg.configuration.attribute == null then config.networking.hostName else cfg.configuration.attribute;
  action = name: shared.action {
    inherit name;
    inherit (cfg.configuration) user;
    flake = "${toString cfg.configuration.path}#${target}";
    profile = "/nix/var/nix/profiles/system";
    rebuild = "nixos-rebuild";
    manager = "--system";
    path = lib.makeBinPath programs;
  };
in {
  options.services.stardust-spider = import ./options.nix { inherit lib pkgs; };
  config = lib.mkIf cfg.enable {
    assertions = [
      { assertion = !managed || cfg.actions == [ ] || cfg.configuration.path != null; message = "services.stardust-spider: the actions need configuration.path"; }
      { assertion = !managed || cfg.actions == [ ] || cfg.configuration.user != null; message = "services.stardust-spider: the actions need configuration.user (git never runs as root)"; }
      { assertion = !managed || allowed != [ ]; message = "services.stardust-spider: managed without an action, a unit or a reboot is monitor"; }
    ];
    users.users.stardust = { isSystemUser = true; group = "stardust"; extraGroups = [ "systemd-journal" ]; home = "/var/lib/stardust"; };
    users.groups.stardust = { };
    # A mode makes real files of root's: the launcher refuses links. The join writes the keys beside them.
    environment.etc = {
      "stardust/policy.conf" = {
        mode = "0644";
        text = ''
          [policy]
          version = 3
          mode = ${cfg.policy}
        '' + lib.optionalString managed ''
          verbs = ${lib.concatStringsSep ", " allowed}
        '' + lib.optionalString (managed && cfg.actions != [ ]) ''
          actions = ${lib.concatStringsSep ", " cfg.actions}
        '' + lib.optionalString (managed && cfg.units != [ ]) ''
          units = ${lib.concatStringsSep ", " cfg.units}
        '';
      };
      "stardust/about.conf" = {
        mode = "0644";
        text = shared.about { revision = if cfg.revision != null then cfg.revision else config.system.configurationRevision; };
      };
    } // lib.optionalAttrs managed (lib.listToAttrs (map (name: lib.nameValuePair "stardust/actions.d/${name}" { mode = "0755"; text = action name; }) cfg.actions));
    systemd.tmpfiles.rules = [
      "d /var/lib/stardust 0755 root root -"
      "d /var/lib/stardust/jobs 2750 root stardust -"
      "d /var/lib/stardust/started 0700 root root -"
    ];
    systemd.packages = [ cfg.package ];
    systemd.services.stardust-join = lib.mkIf (cfg.inviteFile != null) {
      description = "Stardust: join the hub once";
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ];
      after = [ "network-online.target" ];
      unitConfig.ConditionPathExists = "!/etc/stardust/spider.conf";
      restartIfChanged = false;
      path = programs ++ [ pkgs.python3 ];
      serviceConfig = { Type = "oneshot"; LoadCredential = "invite:${cfg.inviteFile}"; TimeoutStartSec = "10min"; };
      environment.STARDUST_POLICY = cfg.policy;
      script = shared.join { python = pkgs.python3; invite = "$CREDENTIALS_DIRECTORY/invite"; };
    };
    systemd.services.stardust-spider = { wantedBy = [ "multi-user.target" ]; unitConfig.ConditionPathExists = "/etc/stardust/spider.conf"; stopIfChanged = false; };
    systemd.sockets.stardust-launcher = lib.mkIf managed { wantedBy = [ "sockets.target" ]; };
    # A switch changes these very units: a job must never end itself.
    systemd.services."stardust-job@" = { restartIfChanged = false; stopIfChanged = false; path = programs; };
    systemd.services."stardust-launcher@" = { restartIfChanged = false; stopIfChanged = false; };
  };
}
