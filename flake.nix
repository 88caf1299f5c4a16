{
  description = "Rules in TOML decide which locks a Python environment gets";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ];
      each = make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
      package = pkgs: pkgs.callPackage ./recipes/nix/package.nix { };
    in
    {
      packages = each (pkgs: { default = package pkgs; });
      overlays.default = final: previous: { lock-policy = package final; };
      nixosModules.default = import ./recipes/nix/nixos.nix self;
      homeManagerModules.default = import ./recipes/nix/home-manager.nix self;
    };
}
