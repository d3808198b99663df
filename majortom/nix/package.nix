# Spider, and what joins it to a hub, from a checkout in which `python hatch_build.py` or a wheel has built the two bundles.
{ stdenvNoCC, python3 }:
stdenvNoCC.mkDerivation {
  pname = "stardust-spider";
  version = "0";
  src = ./..;
  dontUnpack = true;
  # The same unit files as on every other system; only the places of Python and of the bundle are others here.
  installPhase = ''
    for bundle in spider joiner; do
      install -Dm444 $src/$bundle.pyz $out/lib/stardust/$bundle.pyz
    done
    install -Dm444 -t $out/lib/stardust $src/nix/join.sh $src/nix/probe.sh
    for unit in $src/remote/units/stardust-*.*; do
      install -Dm444 $unit $out/lib/systemd/system/$(basename $unit)
      substituteInPlace $out/lib/systemd/system/$(basename $unit) \
        --replace /usr/bin/python3 ${python3}/bin/python3 \
        --replace /opt/stardust/current/spider.pyz $out/lib/stardust/spider.pyz
    done
  '';
}
