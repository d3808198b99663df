# Spider as a user's own service, by Home Manager: under systemd's user manager, and under launchd on a Mac. The hub can order nothing here.
{ config, lib, pkgs, ... }:
let
  cfg = config.services.stardust-spider;
  inherit (pkgs.stdenv.hostPlatform) isDarwin;
  shared = import ./shared.nix { inherit lib pkgs cfg; };
  python = if isDarwin then pkgs.python3.withPackages (packages: [ packages.psutil ]) else pkgs.python3;
  etc = "${config.xdg.configHome}/stardust";
  state = "${config.xdg.stateHome}/stardust";
  log = "${config.home.homeDirectory}/Library/Logs/stardust-spider.log";
  arguments = shared.watched { inherit python etc state; };
  joining = pkgs.writeShellScript "stardust-join" (shared.joinWatched {
    inherit python etc state log;
    owner = config.home.username;
    setting = if isDarwin then "export STARDUST_SERVICE=\"user/$(id -u)/org.nix-community.home.stardust-spider\"" else "export STARDUST_SERVICE=user";
  });
in {
  options.services.stardust-spider = import ./options.nix { inherit lib pkgs; watched = true; };
  config = lib.mkIf cfg.enable {
    xdg.configFile."stardust/about.conf".text = shared.about { inherit (cfg) revision; profile = "${config.xdg.stateHome}/nix/profiles/home-manager"; };
    systemd.user.services = lib.mkIf (!isDarwin) ({
      stardust-spider = {
        Unit = { Description = "Stardust Spider (agent)"; ConditionPathExists = "${etc}/spider.conf"; StartLimitIntervalSec = 0; };
        Service = { Type = "exec"; ExecStart = lib.escapeShellArgs arguments; Restart = "always"; RestartSec = 1; UMask = "0077"; NoNewPrivileges = true; Environment = "STARDUST_BOOT=%b"; };
        Install.WantedBy = [ "default.target" ];
      };
    } // lib.optionalAttrs (cfg.inviteFile != null) {
      stardust-join = {
        Unit = { Description = "Stardust: join the hub once"; ConditionPathExists = "!${etc}/spider.conf"; };
        Service = { Type = "oneshot"; ExecStart = "${joining}"; TimeoutStartSec = "10min"; };
        Install.WantedBy = [ "default.target" ];
      };
    });
    launchd.agents = lib.mkIf isDarwin ({
      stardust-spider = { enable = true; domain = "user"; config = shared.daemon { inherit arguments etc log; }; };
    } // lib.optionalAttrs (cfg.inviteFile != null) {
      stardust-join = { enable = true; domain = "user"; config = { ProgramArguments = [ "${joining}" ]; RunAtLoad = true; KeepAlive.SuccessfulExit = false; ThrottleInterval = 300; StandardErrorPath = "${config.home.homeDirectory}/Library/Logs/stardust-join.log"; }; };
    });
  };
}
