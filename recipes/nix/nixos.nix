# programs.lock-policy for NixOS: the command, and the system's configuration file.
self:
{ config, lib, pkgs, ... }:

let
  chosen = config.programs.lock-policy;
in
{
  options.programs.lock-policy = import ./options.nix self { inherit lib pkgs; };

  config = lib.mkIf chosen.enable {
    environment.systemPackages = [ chosen.package ];
    environment.etc."lock-policy/lock-policy.toml" = lib.mkIf (chosen.settings != { }) {
      source = (pkgs.formats.toml { }).generate "lock-policy.toml" chosen.settings;
    };
  };
}
