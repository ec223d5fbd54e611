#!/usr/bin/env python3
"""Links in the documents: every relative link of every Markdown file names a file of the tree, every anchor a heading or
an id of its page, every page is reachable from README.md, and the three questions that new users ask are answered
within two clicks. Also each `docs/...` path that a source, script or test names exists."""
import pathlib
import re
import sys
import urllib.parse

ROOT = pathlib.Path(sys.argv[1]).resolve()
README = ROOT / "README.md"
MAX_README_LINES = 150
NOT_OURS = {"build", ".git", ".cache"}
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\[\]]*\])*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
NAMED_PATH = re.compile(r"(?<![\w./-])docs/[\w./-]+\.(?:md|svg|csv|png|json|yaml|cc)\b")
# Words that a page within two clicks from README must have among its headings.
QUESTIONS = {"Does it run on my router?": "router", "How do I forward SSH?": "ssh",
             "It connects but nothing comes": "nothing comes"}


def files(*suffixes):
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        if path.is_file() and path.suffix in suffixes and not NOT_OURS & set(parts) and "corpus" not in parts:
            yield path


def without_code(text):
    """The text with blocks and spans of code blanked: what looks like a link there is none."""
    text = re.sub(r"^(```|~~~).*?^\1[^\n]*$", "", text, flags=re.S | re.M)
    return re.sub(r"`[^`\n]*`", "", text)


def headings(text):
    in_block = False
    for line in text.splitlines():
        if line.startswith(("```", "~~~")):
            in_block = not in_block
        elif not in_block and (found := re.match(r"#{1,6} +(.+?)\s*#*$", line)):
            yield found[1]


def anchor(heading):
    """The anchor that GitHub gives to a heading."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    text = re.sub(r"[^\w\- ]", "", text.lower())
    return text.strip().replace(" ", "-")


def anchors(path):
    text = path.read_text()
    seen = {}
    for name in map(anchor, headings(text)):
        seen[name] = seen.get(name, -1) + 1
        yield name if seen[name] == 0 else f"{name}-{seen[name]}"
    yield from re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text)


def links(path):
    """(text of the link's target, file, anchor) of each relative link."""
    for target in LINK.findall(without_code(path.read_text())):
        parts = urllib.parse.urlsplit(target)
        if not parts.scheme and not parts.netloc:
            yield target, (path.parent / parts.path).resolve() if parts.path else path, parts.fragment


def link_faults(pages):
    known = {page: set(anchors(page)) for page in pages}
    for page in pages:
        for target, file, fragment in links(page):
            where = f"{page.relative_to(ROOT)}: {target}"
            if not file.exists():
                yield f"{where}: no such file"
            elif not file.is_relative_to(ROOT):
                yield f"{where}: outside the tree"
            elif fragment and fragment not in known.get(file, set()):
                yield f"{where}: no such heading"


def clicks_from_readme(pages):
    """Each page that README leads to, with the smallest number of clicks."""
    distance, queue = {README: 0}, [README]
    for page in queue:
        for _, file, _ in links(page):
            if file in pages and file not in distance:
                distance[file] = distance[page] + 1
                queue.append(file)
    return distance


def reach_faults(pages):
    distance = clicks_from_readme(pages)
    for page in pages:
        if page not in distance and page.is_relative_to(ROOT / "docs"):
            yield f"{page.relative_to(ROOT)}: no link leads there from README.md"
    near = [heading.lower() for page, clicks in distance.items() if clicks <= 2 for heading in headings(page.read_text())]
    for question, word in QUESTIONS.items():
        if not any(word in heading for heading in near):
            yield f"README.md: no page within two clicks has a heading with '{word}' ({question})"


def named_path_faults():
    for path in files(".h", ".cc", ".c", ".py", ".sh", ".cmake", ".txt", ".md", ".in", ".yaml", ".service"):
        for name in NAMED_PATH.findall(path.read_text(errors="replace")):
            if not (ROOT / name).exists():
                yield f"{path.relative_to(ROOT)}: names {name}, which does not exist"


pages = set(files(".md"))
found = sorted([*link_faults(sorted(pages)), *reach_faults(pages), *named_path_faults()])
if (lines := len(README.read_text().splitlines())) > MAX_README_LINES:
    found.append(f"README.md: {lines} lines, at most {MAX_README_LINES}")
print("\n".join(found))
sys.exit(1 if found else 0)
