#!/usr/bin/env python3
"""Counts phrases that the field would not use, by crate: a list for editing, no gate.

Read are Rust sources (comments, strings and names), Markdown, scripts and manifests under version control.

usage: phrases.py [--list] [PATH ...]      (default: the whole tree; --list shows each place)
"""
import re
import subprocess
import sys
from collections import Counter, defaultdict

PHRASES = {
    '"is no X"': r"(?<!\bthere )\b(?:is|are|was|were) no (?!longer|more than|less|\w+er\b)\w+",
    "said, told, says": r"\b(?:said|told|tells?|says?|saying|telling)\b",
    "somebody, whoever, whom": r"\b(?:somebody|someone else's|whoever|whom|anybody|nobody)\b",
    "mend": r"\bmend(?:s|ed|ing)?\b",
    "passed over, read over": r"\b(?:pass(?:es|ed)?|read) over\b",
    "lets go, stands still, comes to be": r"\b(?:let'?s? go|stands? still|stood still|comes? to be|came to be|c(?:o|a)me about|lies? beside|lay beside)\b",
    "nought, whole number, blank": r"\b(?:nought|noughts|whole numbers?|blanks?)\b",
    "a text": r"\b(?:a|an|the|this|these|of|other) texts?\b",
    "sound, folder": r"\b(?:sounds?|folders?)\b",
    "house, room, floor, wall, seam": r"\b(?:house'?s?|rooms?|floors?(?!\()|walls?(?! clock| time)|seams?|front pages?)\b",
    "own node/type/sink": r"\bown[- ](?:nodes?|types?|sinks?|processors?)\b|\bOwn(?:Node|Type|Sink|Processor)\w*|\bof one's own\b",
    "private metaphors": r"\b(?:thrift\w*|liars?|stumbl\w+|goodbyes?|farewell|strangers?|takes? its leave|eye closed|the dead|births?|unborn)\b",
}


def crate_of(path):
    first = path.split("/", 1)[0]
    return first if "/" in path and not first.startswith(".") else "(root)"


def main():
    args = sys.argv[1:]
    show = "--list" in args
    where = [arg for arg in args if arg != "--list"] or ["."]
    files = subprocess.run(
        ["git", "ls-files", "--", *where], check=True, capture_output=True, text=True
    ).stdout.split()
    counts = defaultdict(Counter)
    for path in files:
        if not path.endswith((".rs", ".md", ".sh", ".py", ".toml")) and path != "Makefile":
            continue
        if path == "scripts/phrases.py" or path.endswith("/generated.rs") and "/src/" in path:
            continue
        try:
            lines = open(path, encoding="utf-8").read().splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        for number, line in enumerate(lines, 1):
            for name, pattern in PHRASES.items():
                hits = len(re.findall(pattern, line, re.I))
                if hits:
                    counts[name][crate_of(path)] += hits
                    if show:
                        print(f"{path}:{number}: [{name}] {line.strip()}")
    crates = sorted({crate for row in counts.values() for crate in row})
    for name in PHRASES:
        row = counts[name]
        detail = ", ".join(f"{crate} {row[crate]}" for crate in crates if row[crate])
        print(f"{sum(row.values()):6}  {name:36} {detail}")
    print(f"{sum(sum(row.values()) for row in counts.values()):6}  all")


if __name__ == "__main__":
    main()
