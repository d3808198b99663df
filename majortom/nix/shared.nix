# What the modules for NixOS, nix-darwin and Home Manager share.
{ lib, pkgs, cfg }: rec {
  # The text of an action's file. The values stand in single quotes; the types of the options refuse what could end one.
  action = { name, user, flake, profile, rebuild, manager, path, more ? "" }: ''
    #!/bin/sh
    ACTION='${name}'
    CHECKOUT='${toString cfg.configuration.path}'
    CHECKOUT_USER='${toString user}'
    FLAKE='${lib.optionalString cfg.configuration.flake flake}'
    TESTS='${cfg.configuration.tests}'
    PROFILE='${profile}'
    REBUILD='${rebuild}'
    PROGRESS='${pkgs.python3}/bin/python3 -I ${./progress.py}'
    MANAGER='${manager}'
    PATH='${path}'
    export PATH
    ${more}
    ${builtins.readFile ./action.sh}
  '';

  # Spider reads it for the page. profile: the link of the generations, where it is not the system's.
  about = { revision, profile ? null }:
    "[about]\n"
    + lib.optionalString (cfg.location != null) "location = ${cfg.location}\n"
    + lib.optionalString (revision != null) "revision = ${revision}\n"
    + lib.optionalString (profile != null) "profile = ${profile}\n";

  # Runs once, as the owner of the folder `etc`, and reads the invite from its file.
  join = { python, invite ? cfg.inviteFile }: ''
    exec ${python}/bin/python3 -I -B ${cfg.package}/lib/stardust/joiner.pyz \
      ${cfg.package}/lib/stardust/probe.sh ${cfg.package}/lib/stardust/join.sh < "${invite}"
  '';

  # The same where launchd or systemd's user manager starts it. setting: a line of the shell that sets STARDUST_SERVICE.
  joinWatched = { python, etc, state, owner, setting, log ? "" }: ''
    [ ! -e '${etc}/spider.conf' ] || exit 0
    export PATH='${lib.makeBinPath [ python pkgs.coreutils pkgs.gnugrep pkgs.gnused ]}':/usr/bin:/bin:/usr/sbin:/sbin
    export STARDUST_ETC='${etc}' STARDUST_STATE='${state}' STARDUST_USER='${owner}' STARDUST_LOG='${log}'
    ${setting}
    mkdir -p '${etc}' || exit 1
    ${join { inherit python; }}
  '';

  # Without a launcher the hub can order nothing.
  monitor = pkgs.writeText "stardust-policy.conf" ''
    [policy]
    version = 3
    mode = monitor
  '';
  watched = { python, etc, state, policy ? monitor }: [
    "${python}/bin/python3" "-I" "-B" "${cfg.package}/lib/stardust/spider.pyz"
    "--config" "${etc}/spider.conf" "--key" "${etc}/session.key" "--policy" "${policy}"
    "--state" state "--jobs" "${state}/jobs" "--metrics" "${etc}/metrics.d" "--events" "${state}/events.sock" "--launcher" "${state}/launcher.sock"
  ];

  # launchd's keys. It keeps Spider alive from the moment on at which the join has written its file.
  daemon = { arguments, etc, log }: {
    ProgramArguments = arguments;
    RunAtLoad = false;
    KeepAlive.PathState."${etc}/spider.conf" = true;
    ThrottleInterval = 10;
    ExitTimeOut = 10;
    ProcessType = "Background";
    LowPriorityIO = true;
    Nice = 1;
    Umask = 63;
    StandardOutPath = log;
    StandardErrorPath = log;
  };
}
