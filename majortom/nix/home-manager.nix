# Spider as a user's own service, by Home Manager: under systemd's user manager, and under launchd on a Mac, where the hub can order nothing.
{ config, lib, pkgs, ... }:
let
  cfg = config.services.stardust-spider;
  inherit (pkgs.stdenv.hostPlatform) isDarwin;
  shared = import ./shared.nix { inherit lib pkgs cfg; };
  managed = cfg.policy == "managed";
  python = if isDarwin then pkgs.python3.withPackages (packages: [ packages.psutil ]) else pkgs.python3;
  home = config.home.homeDirectory;
  etc = "${config.xdg.configHome}/stardust";
  state = "${config.xdg.stateHome}/stardust";
  profile = "${config.xdg.stateHome}/nix/profiles/home-manager";
  log = "${home}/Library/Logs/stardust-spider.log";
  programs = lib.makeBinPath [ pkgs.nix pkgs.git pkgs.openssh pkgs.util-linux pkgs.coreutils pkgs.gnugrep pkgs.gnused pkgs.bash pkgs.systemd ]
    + ":${config.home.profileDirectory}/bin:${home}/.nix-profile/bin:/run/current-system/sw/bin";
  policy = pkgs.writeText "stardust-policy.conf" ''
    [policy]
    version = 3
    mode = managed
    verbs = action-run
    rekey = no
    actions = ${lib.concatStringsSep ", " cfg.actions}
  '';
  # In the store, so that a switch is the only way to change them.
  actions = pkgs.runCommand "stardust-actions" { } ("mkdir -p $out/actions.d\n" + lib.concatMapStringsSep "\n" (name: ''
    install -m 0555 ${pkgs.writeText name (shared.action {
      inherit name profile;
      user = config.home.username;
      flake = toString cfg.configuration.path + lib.optionalString (cfg.configuration.attribute != null) "#${cfg.configuration.attribute}";
      rebuild = "home-manager";
      manager = "--user";
      path = programs;
      more = ''
        HOME='${home}' USER='${config.home.username}' XDG_RUNTIME_DIR="/run/user/$(id -u)"
        export HOME USER XDG_RUNTIME_DIR
      '';
    })} $out/actions.d/${name}'') cfg.actions);
  arguments = shared.watched ({ inherit python etc state; } // lib.optionalAttrs managed { inherit policy; });
  joining = pkgs.writeShellScript "stardust-join" (shared.joinWatched {
    inherit python etc state log;
    owner = config.home.username;
    setting = "export STARDUST_POLICY=${cfg.policy}\n" + (if isDarwin then "export STARDUST_SERVICE=\"user/$(id -u)/org.nix-community.home.stardust-spider\"" else "export STARDUST_SERVICE=user");
  });
  spider = words: lib.escapeShellArgs ([ "${python}/bin/python3" "-I" "-S" "-B" "${cfg.package}/lib/stardust/spider.pyz" ] ++ words);
  environment = [ "STARDUST_BOOT=%b" "PATH=${programs}" ];
in {
  options.services.stardust-spider = import ./options.nix { inherit lib pkgs; for = "home-manager"; };
  config = lib.mkIf cfg.enable {
    assertions = [
      { assertion = !managed || !isDarwin; message = "services.stardust-spider: there is no launcher on a Mac, so its policy is monitor"; }
      { assertion = !managed || cfg.actions != [ ]; message = "services.stardust-spider: managed without an action is monitor"; }
      { assertion = !managed || cfg.configuration.path != null; message = "services.stardust-spider: the actions need configuration.path"; }
    ];
    xdg.configFile."stardust/about.conf".text = shared.about { inherit (cfg) revision; inherit profile; };
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
    } // lib.optionalAttrs managed {
      "stardust-launcher@" = {
        Unit = { Description = "Stardust launcher: check one order"; CollectMode = "inactive-or-failed"; };
        Service = { Type = "exec"; ExecStart = spider [ "launch" etc state "${policy}" "${actions}/actions.d" ]; UMask = "0077"; RuntimeMaxSec = 35; NoNewPrivileges = true; Environment = environment; };
      };
      # A switch changes these very units: a job must never end itself.
      "stardust-job@" = {
        Unit = { Description = "Stardust job %i"; CollectMode = "inactive-or-failed"; RefuseManualStop = true; X-SwitchMethod = "keep-old"; X-RestartIfChanged = false; };
        Service = {
          Type = "exec";
          ExecStart = spider [ "run" "%i" "${state}/jobs" "${actions}/actions.d" ];
          ExecStopPost = "/bin/sh -c 'd=\"${state}/jobs/%i\"; [ -e \"$d/stopped\" ] || { printf \"%%s %%s %%s %%s\\\\n\" \"$SERVICE_RESULT\" \"$EXIT_CODE\" \"$EXIT_STATUS\" \"$INVOCATION_ID\" 1<>\"$d/stopped.tmp\" && mv \"$d/stopped.tmp\" \"$d/stopped\"; }'";
          UMask = "0077"; KillMode = "process"; SendSIGKILL = false; TimeoutStopSec = "25min"; OOMPolicy = "continue"; Environment = environment;
        };
      };
    });
    systemd.user.sockets = lib.mkIf (managed && !isDarwin) {
      stardust-launcher = {
        Unit.Description = "Stardust launcher: where Spider hands in orders";
        Socket = { ListenStream = "${state}/launcher.sock"; SocketMode = "0600"; DirectoryMode = "0700"; Accept = true; MaxConnections = 8; TriggerLimitIntervalSec = 0; RemoveOnStop = true; };
        Install.WantedBy = [ "sockets.target" ];
      };
    };
    launchd.agents = lib.mkIf isDarwin ({
      stardust-spider = { enable = true; domain = "user"; config = shared.daemon { inherit arguments etc log; }; };
    } // lib.optionalAttrs (cfg.inviteFile != null) {
      stardust-join = { enable = true; domain = "user"; config = { ProgramArguments = [ "${joining}" ]; RunAtLoad = true; KeepAlive.SuccessfulExit = false; ThrottleInterval = 300; StandardErrorPath = "${home}/Library/Logs/stardust-join.log"; }; };
    });
  };
}
