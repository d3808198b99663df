{
  description = "Spider, the agent of Stardust, as modules for NixOS, nix-darwin and Home Manager";
  outputs = { self }: {
    nixosModules.default = import ./nixos.nix;
    darwinModules.default = import ./darwin.nix;
    homeManagerModules.default = import ./home-manager.nix;
  };
}
