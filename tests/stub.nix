# As much of nixpkgs as the flake's modules use; evaluates to what the modules make of some settings.
{ settings }:

let
  lib = {
    importTOML = path: builtins.fromTOML (builtins.readFile path);
    genAttrs = names: make: builtins.listToAttrs (map (name: { inherit name; value = make name; }) names);
    mkEnableOption = name: { _type = "option"; default = false; inherit name; };
    mkOption = option: option // { _type = "option"; };
    mkIf = condition: content: if condition then content else { };
    types.package = "package";
    licenses.mit = "MIT";
  };
  named = name: { pname = name; };
  python3Packages = {
    buildPythonApplication = arguments: arguments;
    attrs = named "attrs";
    filelock = named "filelock";
    hatchling = named "hatchling";
    packaging = named "packaging";
    platformdirs = named "platformdirs";
    tomli-w = named "tomli-w";
  };
  pkgs = {
    inherit lib;
    callPackage = path: more: import path ({ inherit lib python3Packages; } // more);
    stdenv.hostPlatform.system = "x86_64-linux";
    formats.toml = _: { type = "toml"; generate = name: value: { inherit name value; }; };
  };
  nixpkgs = {
    inherit lib;
    legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ] (_: pkgs);
  };
  flake = import ../flake.nix;
  self = flake.outputs { inherit self nixpkgs; };
  # What a user's configuration comes to with one module: given options, and defaults for the rest.
  configured = module: given:
    let
      made = module {
        inherit lib pkgs;
        config.programs.lock-policy = builtins.mapAttrs (_: option: option.default) made.options.programs.lock-policy // given;
      };
    in
    made.config;
  on = { enable = true; inherit settings; };
  shown = package: { inherit (package) pname version pyproject; dependencies = map (one: one.pname) package.dependencies; };
  nixos = configured self.nixosModules.default;
  home = configured self.homeManagerModules.default on;
in
{
  package = shown self.packages.x86_64-linux.default;
  systems = builtins.attrNames self.packages;
  overlay = shown (self.overlays.default pkgs pkgs).lock-policy;
  off = nixos { enable = false; };
  nixos = { files = (nixos on).environment.etc; packages = map shown (nixos on).environment.systemPackages; };
  home = { files = home.xdg.configFile; packages = map shown home.home.packages; };
}
