# The options that the modules for NixOS and for home-manager share.
self:
{ lib, pkgs }:

{
  enable = lib.mkEnableOption "lock-policy";

  package = lib.mkOption {
    type = lib.types.package;
    default = self.packages.${pkgs.stdenv.hostPlatform.system}.default;
    description = "The package that gives the command `policy`.";
  };

  settings = lib.mkOption {
    type = (pkgs.formats.toml { }).type;
    default = { };
    example = {
      timeout = 60;
      rules = [
        {
          name = "nix-store";
          match.interpreter = "/nix/store/*";
          lock = "global";
        }
      ];
    };
    description = "What stands in lock-policy.toml.";
  };
}
