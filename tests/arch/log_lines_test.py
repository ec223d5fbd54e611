#!/usr/bin/env python3
"""Lines of the log: no field repeats a word of its event or of its level, and what docs/ quote of log lines and errors
stands in the sources.

    log_lines_test.py ROOT
"""
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(sys.argv.pop(1))
CALL = re.compile(r"\.(?P<level>debug|info|warning|error)\(\s*\"(?P<event>[^\"]+)\"\s*,\s*(?P<fields>\{\{.*?\}\})\s*\)\s*;", re.S)
FIELD = re.compile(r"\{\s*\"(\w+)\"\s*,")
# What stands for a value in a quotation, or parts two texts: N, 17, 1.5, NAME, ..., U+201C, a field's value, a quote.
VALUE = re.compile(r'\.\.\.|U\+[0-9A-F]{4}|\b[A-Z]+\b|[\d.]*\d|\w+="|\w+=\S*|"')
MOST_PIECES = 3  # literals that one stretch of a quotation may be put together from


def sources(*folders):
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".cc", ".h"):
                yield path


def literals():
    """All string literals, those side by side joined, with escapes undone."""
    text = "\n".join(path.read_text() for path in sources("core", "config", "daemon"))
    joined = re.sub(r"\"\s*\n\s*\"", "", text)
    return joined.replace('\\"', '"')


def quotations():
    """Code spans of the troubleshooting pages that read like a line of a log or an error: four words and more."""
    for page in sorted((ROOT / "docs").rglob("*.md")):
        if "troubleshooting" not in page.name:
            continue
        for span in re.findall(r"`([^`\n]+)`", page.read_text()):
            words = span.split()
            if len(words) >= 4 and re.match(r"[a-z]", span) and not re.match(r"(sudo |kcptun-|systemctl|journalctl|sysctl|curl|ss )", span):
                yield page.relative_to(ROOT), span


def is_said(stretch, corpus):
    """Whether the words stand in the corpus, in at most MOST_PIECES pieces of two words and more."""
    words = stretch.split()
    for _ in range(MOST_PIECES):
        taken = next((n for n in range(len(words), 1, -1) if " ".join(words[:n]) in corpus), 0)
        words = words[taken:]
        if not words:
            return True
        if not taken:
            return False
    return False


class LogLines(unittest.TestCase):
    def test_no_field_repeats_a_word_of_its_line(self):
        found = 0
        for path in sources("daemon"):
            for call in CALL.finditer(path.read_text()):
                found += 1
                words = set(re.findall(r"[a-z]+", call["event"])) | {call["level"]}
                for field in FIELD.findall(call["fields"]):
                    # "error" beside the level of a warning is no repetition.
                    self.assertNotIn(field, words, f"{path.relative_to(ROOT)}: {call['event']}")
        self.assertGreater(found, 30)

    def test_what_the_documents_quote_is_what_the_programs_say(self):
        corpus = literals()
        for page, span in quotations():
            text = re.sub(r"^(hint|warning|error): ", "", span)
            for stretch in VALUE.split(text):
                stretch = stretch.strip(" (),:;\"")
                with self.subTest(page=str(page), quotation=span):
                    self.assertTrue(len(stretch.split()) < 2 or is_said(stretch, corpus), stretch)


if __name__ == "__main__":
    unittest.main(verbosity=2)
