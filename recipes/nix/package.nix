{ lib, python3Packages }:

let
  project = (lib.importTOML ../../pyproject.toml).project;
  version = builtins.head (builtins.match ".*__version__ = \"([^\"]+)\".*" (builtins.readFile ../../policy/__init__.py));
in
python3Packages.buildPythonApplication {
  pname = project.name;
  inherit version;
  pyproject = true;
  src = ../..;
  build-system = [ python3Packages.hatchling ];
  dependencies = with python3Packages; [
    attrs
    filelock
    packaging
    platformdirs
    tomli-w
  ];
  pythonImportsCheck = [ "policy" ];
  doCheck = false; # the tests need real releases of uv, other users and mounts
  meta = {
    inherit (project) description;
    license = lib.licenses.mit;
    mainProgram = "policy";
  };
}
