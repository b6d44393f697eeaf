#!/usr/bin/env python3
"""Fails when a promise of SECURITY.md names no test, or one that does not exist.

Each row of a table under "Promises, and their tests" ends in a cell of tests, `FILE::TEST` or `FILE` alone, in backquotes. The file
exists, and has a function of that name below an attribute of a test or in a `proptest!` block.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEST = re.compile(r"`([^`]+)`")


def fault_of(reference):
    name, _, test = reference.partition("::")
    path = ROOT / name
    if not path.is_file():
        return f"there is no file {name}"
    text = path.read_text()
    if "#[test]" not in text and "#[tokio::test" not in text:
        return f"{name} has no tests"
    if test and not re.search(rf"\bfn {re.escape(test)}\b", text):
        return f"{name} has no test {test}"
    return None


def main():
    document = (ROOT / "SECURITY.md").read_text()
    _, _, promises = document.partition("## Promises, and their tests\n")
    promises, _, _ = promises.partition("\n## ")
    rows = [line for line in promises.splitlines() if line.startswith("| ") and not line.startswith("| promise |")]
    faults, tests = [], set()
    for row in rows:
        promise, _, cell = row.strip("| ").rpartition(" | ")
        found = TEST.findall(cell)
        if not promise or not found:
            faults.append(f"no test: {row[:100]}")
        for reference in found:
            tests.add(reference)
            if fault := fault_of(reference):
                faults.append(f"{promise[:70]}: {fault}")
    if not rows:
        faults.append("SECURITY.md has no table of promises")
    for fault in faults:
        print(f"check-security: {fault}", file=sys.stderr)
    if faults:
        sys.exit(1)
    print(f"check-security: {len(rows)} promises, {len(tests)} tests")


if __name__ == "__main__":
    main()
