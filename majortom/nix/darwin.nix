# Spider on a Mac with nix-darwin, under launchd. The hub can order nothing here.
{ config, lib, pkgs, ... }:
let
  cfg = config.services.stardust-spider;
  shared = import ./shared.nix { inherit lib pkgs cfg; };
  python = pkgs.python3.withPackages (packages: [ packages.psutil ]);
  account = "_stardust";
  etc = "/etc/stardust";
  state = "/var/lib/stardust/spider";
  log = "/var/log/stardust-spider.log";
in {
  options.services.stardust-spider = import ./options.nix { inherit lib pkgs; for = "nix-darwin"; } // {
    uid = lib.mkOption { type = lib.types.ints.between 400 599; default = 533; description = "Number of the account _stardust and its group."; };
  };
  config = lib.mkIf cfg.enable {
    users.users.${account} = { uid = cfg.uid; gid = cfg.uid; home = "/var/empty"; shell = "/usr/bin/false"; description = "Stardust Spider"; };
    users.groups.${account} = { gid = cfg.uid; description = "Stardust Spider"; };
    users.knownUsers = [ account ];
    users.knownGroups = [ account ];
    environment.etc."stardust/about.conf".text = shared.about { revision = if cfg.revision != null then cfg.revision else config.system.configurationRevision; };
    launchd.daemons.stardust-spider.serviceConfig = shared.daemon { arguments = shared.watched { inherit python etc state; }; inherit etc log; } // {
      UserName = account;
      GroupName = account;
    };
    launchd.daemons.stardust-join = lib.mkIf (cfg.inviteFile != null) {
      script = ''
        mkdir -p /var/lib/stardust && touch ${log} && chown ${account} ${log} && chmod 0640 ${log}
        ${shared.joinWatched { inherit python etc state log; owner = account; setting = "export STARDUST_SERVICE=system/${config.launchd.labelPrefix}.stardust-spider"; }}
      '';
      serviceConfig = { RunAtLoad = true; KeepAlive.SuccessfulExit = false; ThrottleInterval = 300; StandardErrorPath = "/var/log/stardust-join.log"; };
    };
  };
}
