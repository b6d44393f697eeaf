#!/usr/bin/env python3
"""Fails where an error names its cause in its message and returns it from `source()` as well.

A program that prints an error with its causes, as `anyhow` does, would print such a cause twice. Read are the `#[error("…")]`
attributes of all Rust sources under version control, and the fields behind them.

usage: check-errors.py
"""
import re
import subprocess
import sys

ATTRIBUTE = re.compile(r"#\[error\((?=\s*\")")
# What follows an attribute: documentation, other attributes, and the fields of a variant or a struct.
FIELDS = re.compile(r"\]\s*(?:///[^\n]*\s*|#\[[^\]]*\]\s*)*(?:pub(?:\(\w+\))?\s+)?(?:struct\s+)?(\w+)(?:<[^>]*>)?\s*([({])")
MARKED = re.compile(r"#\[(?:from|source)\]\s*(?:pub(?:\(\w+\))?\s+)?(?:(\w+)\s*:(?!:))?")
CLOSING = {"(": ")", "{": "}"}


def closing(text, start, opening):
    """The place behind the bracket that closes one opened before `start`; brackets in strings do not count."""
    depth, quoted, at = 1, False, start
    while depth and at < len(text):
        char = text[at]
        if quoted:
            at += char == "\\"
            quoted = char != '"'
        elif char == '"':
            quoted = True
        else:
            depth += (char == opening) - (char == CLOSING[opening])
        at += 1
    return at


def repeated(text):
    """Line and name of each error that repeats its cause."""
    for attribute in ATTRIBUTE.finditer(text):
        end = closing(text, attribute.end(), "(")
        message = text[attribute.end() : end - 1]
        fields = FIELDS.match(text, end)
        if fields is None:
            continue
        body = text[fields.end() : closing(text, fields.end(), fields[2]) - 1]
        sources = {"source"} if re.search(r"\bsource\s*:", body) else set()
        sources |= {field[1] or "0" for field in MARKED.finditer(body)}
        for source in sources:
            shown = rf"\{{{source}[}}:]" + ("" if source == "0" else rf"|,[^\"]*\b{source}\b")
            if re.search(shown, message):
                yield text.count("\n", 0, attribute.start()) + 1, fields[1]


def main():
    listed = subprocess.run(["git", "ls-files", "*.rs"], check=True, capture_output=True, text=True)
    files, found = listed.stdout.split(), 0
    for path in files:
        for line, name in repeated(open(path, encoding="utf-8").read()):
            print(f"{path}:{line}: {name} names its cause and returns it from source(): call the field `cause`", file=sys.stderr)
            found += 1
    print(f"check-errors: {len(files)} files, {found} errors repeat their cause")
    return 1 if found else 0


sys.exit(main())
