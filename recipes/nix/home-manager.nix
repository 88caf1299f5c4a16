# programs.lock-policy for home-manager: the command, and the user's configuration file.
self:
{ config, lib, pkgs, ... }:

let
  chosen = config.programs.lock-policy;
in
{
  options.programs.lock-policy = import ./options.nix self { inherit lib pkgs; };

  config = lib.mkIf chosen.enable {
    home.packages = [ chosen.package ];
    xdg.configFile."lock-policy/lock-policy.toml" = lib.mkIf (chosen.settings != { }) {
      source = (pkgs.formats.toml { }).generate "lock-policy.toml" chosen.settings;
    };
  };
}
