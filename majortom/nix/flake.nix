{
  description = "Spider, the agent of Stardust, as a NixOS module";
  outputs = { self }: { nixosModules.default = import ./nixos.nix; };
}
