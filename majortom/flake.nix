{
  description = "Spider, the agent of Stardust, as modules for NixOS, nix-darwin and Home Manager";
  # It lies beside the bundles: a flake sees nothing above its own folder.
  outputs = { self }: {
    nixosModules.default = import ./nix/nixos.nix;
    darwinModules.default = import ./nix/darwin.nix;
    homeManagerModules.default = import ./nix/home-manager.nix;
  };
}
