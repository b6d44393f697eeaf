#!/usr/bin/env python3
"""Fails when a promise of SECURITY.md names no test, or one that does not exist.

Each row of a table under "Promises, and their tests" ends in a cell of tests, `FILE::TEST` or `FILE` alone, in backquotes. The file
exists, and has a function of that name below an attribute of a test or in a `proptest!` block.

What "The code" says of unsafe code, build scripts and fuzz targets is compared with the code.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEST = re.compile(r"`([^`]+)`")
# The modules of published crates that may have unsafe code. All other crates forbid it.
UNSAFE = {
    "extension-protocol/src/shared_memory/mapping.rs",
    "framing/src/hardware.rs",
    "framing/src/render.rs",
    "recording/src/parameters.rs",
}


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


def code_faults():
    allowed = {name.split("/")[0] for name in UNSAFE}
    for manifest in sorted(ROOT.glob("*/Cargo.toml")):
        crate = manifest.parent
        if "publish = false" in manifest.read_text():
            continue
        if (crate / "build.rs").exists():
            yield f"{crate.name} has a build script"
        if crate.name not in allowed and "#![forbid(unsafe_code)]" not in (crate / "src/lib.rs").read_text():
            yield f"{crate.name}/src/lib.rs does not forbid unsafe code"
        for source in sorted((crate / "src").rglob("*.rs")):
            name = str(source.relative_to(ROOT))
            if "allow(unsafe_code)" in source.read_text() and name not in UNSAFE:
                yield f"{name} allows unsafe code"
    for target in sorted(ROOT.glob("*/fuzz/fuzz_targets/*.rs")):
        manifest = target.parent.parent / "Cargo.toml"
        if f'path = "fuzz_targets/{target.name}"' not in manifest.read_text():
            yield f"{manifest.relative_to(ROOT)} does not build {target.name}"


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
    faults.extend(code_faults())
    if not rows:
        faults.append("SECURITY.md has no table of promises")
    for fault in faults:
        print(f"check-security: {fault}", file=sys.stderr)
    if faults:
        sys.exit(1)
    print(f"check-security: {len(rows)} promises, {len(tests)} tests")


if __name__ == "__main__":
    main()
