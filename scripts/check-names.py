#!/usr/bin/env python3
"""Fails where two crates define a public type, trait or constant of the same name: a reader of both would take one for the other.

Looked at are the `pub` items at the start of a line in library code, whether their module is public or not. The protocol's
messages on the wire are named as the extension contract names them; the same contract has the same words in JSON.

usage: check-names.py
"""
import collections
import re
import subprocess
import sys
from pathlib import Path

ITEM = re.compile(r"^pub (?:unsafe )?(?:struct|enum|union|trait|type|const|static) (\w+)", re.M)
# Generated from the contract's protocol files.
WIRE = "extension-protocol/src/wire/generated.rs"
# Programs, not libraries.
PROGRAMS = re.compile(r"^examples/|/src/(bin/|main\.rs)")


def main():
    files = subprocess.run(
        ["git", "ls-files", "*/src/*.rs"], check=True, capture_output=True, text=True
    ).stdout.split()
    defined = collections.defaultdict(dict)
    for file in files:
        if file == WIRE or PROGRAMS.search(file):
            continue
        for name in ITEM.findall(Path(file).read_text()):
            defined[name].setdefault(file.split("/src/")[0], file)
    doubled = {name: crates for name, crates in sorted(defined.items()) if len(crates) > 1}
    for name, crates in doubled.items():
        print(f"check-names: {name} is defined in {' and in '.join(crates.values())}: rename one, or share it", file=sys.stderr)
    print(f"check-names: {len(defined)} public names, {len(doubled)} of them in two crates")
    return 1 if doubled else 0


if __name__ == "__main__":
    sys.exit(main())
