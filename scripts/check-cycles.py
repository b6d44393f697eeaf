#!/usr/bin/env python3
"""Fails when the modules of a crate import each other in a circle.

Looked at are the imports of library code: paths that begin with `crate`, `super` or `self`, in `use` items and in
expressions. Code under `#[cfg(test)]` and `#[cfg(fuzzing)]` does not count. Modules are compared with their siblings, at
every depth: an import of `crate::a::x` in `crate::b::y` is an edge from `b` to `a`, and what a module and its own
submodules share is not a circle. A name that `lib.rs` re-exports counts as an import of the module that defines it.

usage: check-cycles.py [CRATE_DIRECTORY ...]     (default: every directory at the root with a Cargo.toml and src/lib.rs)
"""
import re
import sys
from pathlib import Path

TEST_ITEM = re.compile(r"#\[cfg\((?:all\()?(?:test|fuzzing|any\(test, fuzzing\)|any\(fuzzing, test\))[^\]]*\)\]\s*(?:#\[[^\]]*\]\s*)*")


def without_comments_and_strings(text):
    pattern = re.compile(
        r'//[^\n]*|/\*.*?\*/|r(#*)".*?"\1|b?"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])\'', re.S
    )
    return pattern.sub(lambda match: "\n" * match.group(0).count("\n"), text)


def without_test_items(text):
    while match := TEST_ITEM.search(text):
        at, depth = match.end(), 0
        while at < len(text):
            char = text[at]
            if char in "{([":
                depth += 1
            elif char in "})]":
                depth -= 1
                if depth == 0 and char == "}":
                    at += 1
                    break
            elif char == ";" and depth == 0:
                at += 1
                break
            at += 1
        text = text[: match.start()] + text[at:]
    return text


def modules(crate):
    """Module path (a tuple) -> source text, for every module that is part of the library."""
    found = {}

    def read(path, module, directory):
        text = without_test_items(without_comments_and_strings(path.read_text()))
        inline = {}
        # Inline modules count as part of the module that holds them.
        found[module] = text
        for match in re.finditer(r"^\s*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;", text, re.M):
            name = match.group(1)
            for child in (directory / f"{name}.rs", directory / name / "mod.rs"):
                if child.exists():
                    read(child, module + (name,), directory / name)
        return inline

    read(crate / "src/lib.rs", (), crate / "src")
    return found


def expand(tree):
    """`a::{b, c::{d, e}}` -> a::b, a::c::d, a::c::e"""
    tree = tree.strip()
    brace = tree.find("{")
    if brace < 0:
        yield re.sub(r"\s+as\s+\w+$", "", tree)
        return
    prefix, inner = tree[:brace], tree[brace + 1 : tree.rindex("}")]
    depth, start = 0, 0
    for at, char in enumerate(inner + ","):
        if char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
        elif char == "," and depth == 0:
            part = inner[start:at]
            start = at + 1
            if part.strip():
                for rest in expand(part):
                    yield prefix + rest


def absolute(path, module, children):
    """The segments of a path from the crate's root, or None for another crate's."""
    parts = [part for part in re.split(r"\s*::\s*", path.strip()) if part]
    if not parts:
        return None
    if parts[0] == "crate":
        return tuple(parts[1:])
    if parts[0] == "self":
        return module + tuple(parts[1:])
    if parts[0] == "super":
        base = module
        while parts and parts[0] == "super":
            base, parts = base[:-1], parts[1:]
        return base + tuple(parts)
    if parts[0] in children:
        return module + tuple(parts)
    return None


def paths(text):
    for match in re.finditer(r"\buse\s+([^;]+);", text):
        yield from expand(re.sub(r"\s+", " ", match.group(1)))
    body = re.sub(r"\buse\s+[^;]+;", "", text)
    for match in re.finditer(r"\b(?:crate|super|self)(?:::\w+)+", body):
        yield match.group(0)


def edges(crate):
    found = modules(crate)
    children = {m: {c[-1] for c in found if len(c) == len(m) + 1 and c[: len(m)] == m} for m in found}
    exports = {m: {} for m in found}  # re-exported name -> where it comes from
    for module, text in found.items():
        for match in re.finditer(r"\bpub(?:\([^)]*\))?\s+use\s+([^;]+);", text):
            for path in expand(re.sub(r"\s+", " ", match.group(1))):
                target = absolute(path, module, children[module])
                if target:
                    exports[module][target[-1]] = target

    def home(target):
        for _ in range(8):
            module = target
            while module not in found:
                module = module[:-1]
            name = target[len(module) : len(module) + 1]
            if name and name[0] in exports[module]:
                target = exports[module][name[0]] + target[len(module) + 1 :]
            else:
                return module
        return module

    result = {}
    for module, text in found.items():
        for path in paths(text):
            target = absolute(path, module, children[module])
            if target is None:
                continue
            target = home(target)
            common = 0
            while common < min(len(module), len(target)) and module[common] == target[common]:
                common += 1
            # One of the two holds the other: no circle between siblings.
            if common == len(module) or common == len(target):
                continue
            source_at, target_at = module[: common + 1], target[: common + 1]
            result.setdefault(source_at, {}).setdefault(target_at, set()).add("::".join(module))
    return found, result


def circles(graph):
    """Strongly connected components of more than one module (Tarjan)."""
    index, low, stack, on_stack, found = {}, {}, [], set(), []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        on_stack.add(node)
        for target in graph.get(node, ()):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in on_stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            component = []
            while True:
                member = stack.pop()
                on_stack.discard(member)
                component.append(member)
                if member == node:
                    break
            if len(component) > 1:
                found.append(sorted(component))

    for node in list(graph):
        if node not in index:
            visit(node)
    return found


def main():
    sys.setrecursionlimit(10_000)
    root = Path(__file__).resolve().parent.parent
    crates = [Path(name) for name in sys.argv[1:]] or sorted(
        path.parent for path in root.glob("*/Cargo.toml") if (path.parent / "src/lib.rs").exists()
    )
    failed = 0
    for crate in crates:
        found, graph = edges(crate)
        knots = circles(graph)
        members = sum(len(knot) for knot in knots)
        failed += members
        print(f"check-cycles: {crate.name}: {len(found)} modules, {members} in circles")
        for knot in knots:
            inside = set(knot)
            for source in knot:
                for target, where in sorted(graph[source].items()):
                    if target in inside:
                        names = ", ".join(sorted(where))
                        print(f"    {'::'.join(source)} -> {'::'.join(target)}    ({names})")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
