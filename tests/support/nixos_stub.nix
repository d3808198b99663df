# Evaluates a module with a small stub of what it uses of nixpkgs: the types refuse what theirs refuse, and an unknown option is an error.
# darwin: whether packages are those of macOS.
{ module, settings, darwin ? false }:
let
  b = builtins;
  type = name: check: { inherit name check; };
  lib = rec {
    hasPrefix = prefix: text: b.substring 0 (b.stringLength prefix) text == prefix;
    concatStringsSep = b.concatStringsSep;
    concatMapStringsSep = between: change: values: concatStringsSep between (map change values);
    optional = yes: value: if yes then [ value ] else [ ];
    optionals = yes: values: if yes then values else [ ];
    optionalString = yes: text: if yes then text else "";
    optionalAttrs = yes: values: if yes then values else { };
    listToAttrs = b.listToAttrs;
    nameValuePair = name: value: { inherit name value; };
    makeBinPath = packages: concatStringsSep ":" (map (package: "${package}/bin") packages);
    escapeShellArgs = words: concatStringsSep " " (map (word: "'${b.replaceStrings [ "'" ] [ "'\\''" ] word}'") words);
    literalExpression = text: text;
    mkIf = yes: value: if yes then value else null;
    mkOption = option: option // { isOption = true; };
    mkEnableOption = description: mkOption { type = types.bool; default = false; inherit description; };
    types = {
      bool = type "bool" b.isBool;
      ints.between = low: high: type "ints.between" (value: b.isInt value && low <= value && value <= high);
      str = type "str" b.isString;
      package = type "package" (value: b.isString value || b.isAttrs value);
      strMatching = pattern: type "str" (value: b.isString value && b.match pattern value != null);
      enum = values: type "enum" (value: b.elem value values);
      nullOr = inner: type "nullOr" (value: value == null || inner.check value);
      listOf = inner: type "listOf" (value: b.isList value && b.all inner.check value);
      addCheck = inner: check: type "addCheck" (value: inner.check value && check value);
    };
  };
  pkgs = b.listToAttrs (map (name: { inherit name; value = "/nix/store/${name}"; }) [ "nix" "git" "openssh" "util-linux" "coreutils" "gnugrep" "gnused" "bash" "systemd" ])
    // {
      callPackage = _: _: "/nix/store/stardust-spider";
      python3 = { outPath = "/nix/store/python3"; withPackages = _: "/nix/store/python3-env"; };
      stdenv.hostPlatform.isDarwin = darwin;
      writeText = b.toFile;
      writeShellScript = b.toFile;
      runCommand = name: _: b.toFile name;
    };
  resolve = path: options: given:
    let unknown = b.filter (name: !(options ? ${name})) (b.attrNames given);
    in if unknown != [ ] then throw "unknown option ${path}${b.head unknown}" else b.mapAttrs (name: option:
      if option.isOption or false then
        let value = given.${name} or option.default;
        in if option.type.check value then value else throw "${path}${name} is no ${option.type.name}"
      else resolve "${path}${name}." option (given.${name} or { })) options;
  made = import module {
    inherit lib pkgs;
    config = {
      nix.package = "/nix/store/nix";
      networking.hostName = "web-1";
      system.build.nixos-rebuild = "/nix/store/nixos-rebuild";
      system.configurationRevision = "1a2b3c4d5e6f";
      home = { username = "me"; homeDirectory = "/home/me"; profileDirectory = "/home/me/.nix-profile"; };
      xdg = { configHome = "/home/me/.config"; stateHome = "/home/me/.local/state"; };
      launchd.labelPrefix = "org.nixos";
      services.stardust-spider = resolve "" made.options.services.stardust-spider settings;
    };
  };
  failed = b.filter (assertion: !assertion.assertion) (made.config.assertions or [ ]);
in if made.config == null then null else if failed != [ ] then throw (b.head failed).message else made.config
