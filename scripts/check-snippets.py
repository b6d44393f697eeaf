#!/usr/bin/env python3
"""Compiles the Rust snippets of every README and document, as a reader would who pastes them into a new project.

For each document with snippets, target/outside/snippets/NAME is a fresh crate outside of the workspace. Its manifest has what
`cargo new` writes, and then the document's first `toml` block, unchanged; each `rust` block is a program in src/bin. Paths in
the blocks point to a clone next to the new project, ../live-video-analytics, which is a link to this workspace here.

usage: check-snippets.py [--list] [DOCUMENT.md…]; without documents, all of them. The crates share one target directory.
"""
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUTSIDE = ROOT / "target" / "outside"
CRATES = OUTSIDE / "snippets"
CLONE = CRATES / "live-video-analytics"
FENCE = re.compile(r"^```(\S*)\s*$")
# What may follow `rust` in a fence: a snippet that rustdoc ignores or expects to fail is of no use to a reader.
LANGUAGES = {"rust", "rust,no_run"}

# A snippet that gives a warning makes a bad start. The table `workspace` keeps cargo from looking for one above target/.
MANIFEST = """\
[package]
name = "{name}"
version = "0.1.0"
edition = "2024"

[lints.rust]
warnings = "deny"

[workspace]

# From {document}:
{block}"""


class Problem(Exception):
    pass


def blocks(text):
    """The fenced blocks of a document: language, line number, content."""
    language, start, lines = None, 0, []
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if language is None and fence:
            language, start, lines = fence[1], number, []
        elif language is not None and line.rstrip() == "```":
            yield language, start, "\n".join(lines) + "\n"
            language = None
        elif language is not None:
            lines.append(line)


def is_published(readme):
    """Whether a README is that of a package for others, which has to show how to depend on it."""
    manifest = readme.parent / "Cargo.toml"
    if readme.name != "README.md" or not manifest.exists():
        return False
    package = tomllib.loads(manifest.read_text()).get("package")
    return package is None or package.get("publish", True)


def documents():
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )
    return [ROOT / line for line in tracked.stdout.splitlines() if (ROOT / line).exists()]


def read(document):
    """The dependency block and the snippets of a document."""
    found = list(blocks(document.read_text()))
    snippets = [(line, code) for language, line, code in found if language.split(",")[0] == "rust"]
    block = next(((line, toml) for language, line, toml in found if language == "toml" and "[dependencies]" in toml), None)
    place = document.relative_to(ROOT)
    if block is None and (snippets or is_published(document)):
        raise Problem(f"{place}: has no `toml` block with [dependencies] to paste")
    if snippets and block[0] > snippets[0][0]:
        raise Problem(f"{place}:{block[0]}: the dependencies have to stand before the first snippet")
    for language, line, _ in found:
        if language.startswith("rust") and language not in LANGUAGES:
            raise Problem(f"{place}:{line}: a snippet is `rust` or `rust,no_run`, not `{language}`")
    for line, code in snippets:
        if "fn main()" not in code:
            raise Problem(f"{place}:{line}: the snippet has no `fn main`, so it cannot be pasted as a program")
        if re.search(r"^\s*#( |$)", code, re.MULTILINE):
            raise Problem(f"{place}:{line}: a line with `# ` is hidden in rustdoc alone; a web page shows it")
    return block, snippets


def compile_snippets(document, toml, snippets):
    place = document.relative_to(ROOT)
    name = "-".join(["snippets", *place.with_suffix("").parts]).lower()
    crate = CRATES / name
    shutil.rmtree(crate, ignore_errors=True)
    (crate / "src" / "bin").mkdir(parents=True)
    (crate / "Cargo.toml").write_text(MANIFEST.format(name=name, document=place, block=toml))
    # The versions that everything else is tested with; cargo drops those that are not needed.
    shutil.copyfile(ROOT / "Cargo.lock", crate / "Cargo.lock")
    for line, code in snippets:
        (crate / "src" / "bin" / f"line-{line}.rs").write_text(code)
    if not snippets:
        (crate / "src" / "bin" / "nothing.rs").write_text("fn main() {}\n")
    # Optimised dependencies, as some blocks want them, take minutes and show nothing here.
    unoptimised = ["--config", 'profile.dev.package."*".opt-level = 0']
    cargo = [os.environ.get("CARGO", "cargo"), "check", "--quiet", "--bins", *unoptimised]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(OUTSIDE / "target")}
    if subprocess.run(cargo, cwd=crate, env=environment, stdin=subprocess.DEVNULL).returncode != 0:
        raise Problem(f"{place}: its snippets do not compile with its dependencies; the crate is {crate}")


def main(arguments):
    only_list = "--list" in arguments
    chosen = [Path(name).resolve() for name in arguments if name != "--list"] or documents()
    CRATES.mkdir(parents=True, exist_ok=True)
    if CLONE.is_symlink() and CLONE.resolve() != ROOT:
        CLONE.unlink()  # of a clone that was moved or copied
    if not CLONE.is_symlink():
        CLONE.symlink_to(ROOT, target_is_directory=True)
    problems, count = [], 0
    for document in chosen:
        try:
            block, snippets = read(document)
            if block is None:
                continue
            count += len(snippets)
            print(f"{document.relative_to(ROOT)}: {len(snippets)} snippets", end="", flush=True)
            started = time.monotonic()
            if not only_list:
                compile_snippets(document, block[1], snippets)
            print(f" ({time.monotonic() - started:.0f} s)", flush=True)
        except Problem as problem:
            print(f"\ncheck-snippets: {problem}", file=sys.stderr, flush=True)
            problems.append(problem)
    if problems:
        print("check-snippets: failed:", *problems, sep="\n  ", file=sys.stderr)
        return 1
    print(f"check-snippets: {count} snippets" + ("" if only_list else " compile"))
    return 0


sys.exit(main(sys.argv[1:]))
