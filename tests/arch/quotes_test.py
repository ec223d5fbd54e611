#!/usr/bin/env python3
"""What the documents quote is in the sources: log lines and errors (in the headings of docs/troubleshooting.md, in blocks
marked ```log, and in tables whose first column is named "log line" or "error"), and the constants and files of
docs/develop/limits.md. "..." in a quotation stands for anything; names, numbers and addresses are left out with it."""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1]).resolve()
STRING = r'"(?:[^"\\\n]|\\.)*"'
MIN_PIECE = 3   # characters: a shorter piece of a quotation proves nothing
MIN_QUOTE = 10  # characters in all pieces of a quotation
LOG_PREFIX = re.compile(r"^(?:\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\S* )?(?:debug|info|warning|error) ")
FIELD = re.compile(r'(\w+)=("[^"]*"?|\S+)')
VARIABLE_FIELDS = {"reason", "text", "protects", "error", "warning", "remedy", "why"}  # their text is in the sources too


def source_text(folders=("core", "config", "daemon")):
    """The string literals of the sources, each on a line; adjacent ones joined, as the compiler does."""
    literals = []
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix not in (".h", ".cc"):
                continue
            text = re.sub(r"(?m)^\s*(?://|#\s*include).*$", "", path.read_text())
            for run in re.findall(rf"{STRING}(?:\s*{STRING})*", text):
                joined = "".join(part[1:-1] for part in re.findall(STRING, run))
                literals.append(joined.replace('\\"', '"').replace("\\n", " ").replace("\\\\", "\\"))
    # What fmt puts into a placeholder is anything.
    return re.sub(r"\{[^{} ]*\}", "\x00", "\n".join(literals))


def spaced(text):
    return re.sub(r"[ \t]+", " ", text).strip()


LITERALS = "\n".join(map(spaced, source_text().splitlines()))


def pieces_of(quote):
    """The texts that must be in the sources, and the names of fields."""
    quote = LOG_PREFIX.sub("", quote.strip())
    texts, names = [], []
    for name, value in FIELD.findall(quote):
        names.append(name)
        if name in VARIABLE_FIELDS:
            texts.append(value.strip('"'))
    texts.append(FIELD.sub("...", quote))
    parts = [part.strip(" :,;\"") for text in texts for part in text.split("...")]
    return [part for part in parts if len(part) >= MIN_PIECE], names


def quote_faults(where, quote):
    parts, names = pieces_of(quote)
    if sum(map(len, parts)) < MIN_QUOTE:
        yield f"{where}: `{quote}` quotes too little to be found"
    for part in parts:
        if spaced(part) not in LITERALS:
            yield f"{where}: `{part}` is in no source"
    for name in names:
        if f"\n{name}\n" not in f"\n{LITERALS}\n":
            yield f"{where}: the log has no field `{name}`"


def quotes_in(path):
    """(line number, quotation) of what a page marks as quoted."""
    block, table = None, False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith("```"):
            block = None if block is not None else line[3:].strip()
        elif block == "log" and line.strip():
            yield number, line
        elif block is None:
            if re.match(r"\| (?:log line|error) \|", line):
                table = True
            elif not line.startswith("|"):
                table = False
            elif table and (cell := re.match(r"\| (`[^|]*`) \|", line)):
                yield from ((number, quote) for quote in re.findall(r"`([^`]+)`", cell[1]))
            if path.name == "troubleshooting.md" and line.startswith("#"):
                yield from ((number, quote) for quote in re.findall(r"`([^`]+)`", line) if " " in quote)


def limit_faults():
    path = ROOT / "docs/develop/limits.md"
    words = {p.relative_to(ROOT).as_posix(): set(re.findall(r"\w+", p.read_text())) for folder in ("core", "config", "daemon")
             for p in (ROOT / folder).rglob("*") if p.suffix in (".h", ".cc")}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not line.startswith("|") or len(cells) != 4 or "`" not in cells[2]:
            continue
        files = re.findall(r"`([\w./]+)`", cells[3])
        for file in files:
            if file not in words:
                yield f"{path.relative_to(ROOT)}:{number}: no file {file}"
        for name in re.findall(r"`([\w:]+)`", cells[2]):
            last = name.rsplit("::", 1)[-1]
            if not any(last in words.get(file, ()) for file in files):
                yield f"{path.relative_to(ROOT)}:{number}: no `{last}` in {' or '.join(files)}"


found = list(limit_faults())
count = 0
for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
    for line_number, quotation in quotes_in(page):
        count += 1
        found += quote_faults(f"{page.relative_to(ROOT)}:{line_number}", quotation)
if count < 40:
    found.append(f"only {count} quotations found: is the marking of docs/troubleshooting.md gone?")
print("\n".join(found))
sys.exit(1 if found else 0)
