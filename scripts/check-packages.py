#!/usr/bin/env python3
"""Packages every published crate, and builds and tests the packages alone, as their users will get them.

The `.crate` files are unpacked into one workspace outside of this one, where they find each other by a `[patch.crates-io]`
table. There each crate is checked by itself, with its examples, and the examples of its documentation run. Checked too: a
package holds both licence texts, and every relative link of its README leads to a file of the package.

usage: check-packages.py [--no-build]     (prints a table of the packages and their sizes)
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUTSIDE = ROOT / "target" / "outside"
PACKAGES = OUTSIDE / "packages"
CARGO = os.environ.get("CARGO", "cargo")
LINK = re.compile(r"\]\(([^)#\s]+)")


def cargo(*arguments, **options):
    command = [CARGO, *arguments]
    return subprocess.run(command, check=True, stdin=subprocess.DEVNULL, **options)


def published():
    """The crates to package, by name, and the names of the others."""
    metadata = cargo("metadata", "--no-deps", "--format-version", "1", cwd=ROOT, capture_output=True, text=True)
    packages = json.loads(metadata.stdout)["packages"]
    # `publish = false` is an empty list of registries.
    public = {package["name"]: package for package in packages if package["publish"] != []}
    return public, [package["name"] for package in packages if package["name"] not in public]


def package(unpublished):
    shutil.rmtree(PACKAGES, ignore_errors=True)
    excluded = [word for name in unpublished for word in ("--exclude", name)]
    # Uncommitted changes are packaged too, so that they can be checked before the commit. Quiet, since cargo warns of each
    # test and bench that stays out of its package on purpose.
    cargo("package", "--workspace", *excluded, "--no-verify", "--allow-dirty", "--quiet", "--target-dir", str(PACKAGES), cwd=ROOT)
    unpacked = PACKAGES / "unpacked"
    for file in (PACKAGES / "package").glob("*.crate"):
        with tarfile.open(file) as archive:
            archive.extractall(unpacked, filter="data")
    return unpacked


def problems_of(directory):
    """What a package lacks, apart from building."""
    for licence in ("LICENSE-APACHE", "LICENSE-MIT"):
        if not (directory / licence).is_file():
            yield f"{licence} is missing: link it, ln -s ../{licence}"
    for target in LINK.findall((directory / "README.md").read_text()):
        if not re.match(r"[a-z]+:", target) and not (directory / target).exists():
            yield f"README.md links to '{target}', which is not in the package"


def workspace(unpacked, packages):
    members = ", ".join(f'"{directory.name}"' for directory in packages.values())
    patches = "".join(f'{name} = {{ path = "{directory.name}" }}\n' for name, directory in packages.items())
    manifest = f'[workspace]\nresolver = "3"\nmembers = [{members}]\n\n[patch.crates-io]\n{patches}'
    (unpacked / "Cargo.toml").write_text(manifest)
    # The versions that everything else is tested with.
    shutil.copyfile(ROOT / "Cargo.lock", unpacked / "Cargo.lock")


def main(arguments):
    public, unpublished = published()
    unpacked = package(unpublished)
    packages, failed = {}, False
    print(f"{'package':<32} {'files':>5} {'unpacked':>9} {'.crate':>9}")
    for name in sorted(public):
        directory = unpacked / f"{name}-{public[name]['version']}"
        packages[name] = directory
        files = [file for file in directory.rglob("*") if file.is_file()]
        size = sum(file.stat().st_size for file in files)
        archive = (PACKAGES / "package" / f"{directory.name}.crate").stat().st_size
        print(f"{directory.name:<32} {len(files):>5} {size / 1024:>5.0f} KiB {archive / 1024:>5.0f} KiB")
        for problem in problems_of(directory):
            print(f"check-packages: {name}: {problem}", file=sys.stderr)
            failed = True
    workspace(unpacked, packages)
    if ".invalid" in "".join(public[name]["repository"] or "" for name in public):
        print("note: the address of the repository is still a placeholder, in [workspace.package] of Cargo.toml")
    if failed:
        return 1
    if "--no-build" in arguments:
        return 0
    environment = {**os.environ, "CARGO_TARGET_DIR": str(OUTSIDE / "target")}
    for name in packages:
        print(f"--- {name} by itself", flush=True)
        cargo("check", "--quiet", "--package", name, "--lib", "--examples", cwd=unpacked, env=environment)
    print("--- examples of the documentation", flush=True)
    cargo("test", "--quiet", "--doc", "--workspace", cwd=unpacked, env=environment)
    print(f"check-packages: {len(packages)} packages are complete, build and pass the examples of their documentation")
    return 0


try:
    sys.exit(main(sys.argv[1:]))
except subprocess.CalledProcessError as error:
    sys.exit(f"check-packages: failed: {' '.join(error.cmd)}")
