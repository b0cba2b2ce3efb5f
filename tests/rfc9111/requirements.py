#!/usr/bin/env python3
"""Compares requirements.txt with the texts of the RFCs.

    requirements.py DIR            prints what is missing or differs; exit status 1 if anything does
    requirements.py --print DIR    prints the sentences themselves, for a new list

DIR holds rfc9111.txt and rfc9110.txt, as plain text without page breaks: a heading is a line that begins with its number
("4.2.3. Calculating Age"), list items begin with a sign, lines are wrapped anywhere.
"""

import difflib
import re
import sys
from pathlib import Path

# All of RFC 9111, and the sections of RFC 9110 that a cache can't do without.
WANTED = {"9111": [""], "9110": ["8.8", "9", "12.5.5", "13", "14", "15"]}

BINDING = re.compile(r"\b(MUST|REQUIRED|SHALL)\b")
HEADING = re.compile(r"^(\d+(?:\.\d+)*)\. +\S")
ITEM = re.compile(r"^( *)(?:[•□☆○▪]|\d+\.|\*|o) +(?=\S)")
# The end of a sentence: a stop that isn't that of an abbreviation, and a capital, quote or bracket to go on with.
END = re.compile(r"(?<!e\.g\.)(?<!i\.e\.)(?<=[.!?]) +(?=[\"'(\[]?[A-Z0-9])")


def wanted(document, section):
    return any(part == "" or section == part or section.startswith(part + ".") for part in WANTED[document])


def sections(text):
    """Yields (number, lines) for each numbered section."""
    number, lines = None, []
    for line in text.splitlines():
        heading = HEADING.match(line)
        end = re.match(r"^(Appendix [A-Z]\.|Acknowledgements$|Index$)", line)
        if heading or end:
            if number is not None:
                yield number, lines
            number, lines = (heading.group(1) if heading else None), []
        else:
            lines.append(line)
    if number is not None:
        yield number, lines


def join(text, line):
    """Undoes a wrap, which may fall just inside a bracket or a quote, or after a slash."""
    tight = text == "" or text[-1] in "([/" or text.endswith(' "') or line[0] in ")]"
    return text + ("" if tight else " ") + line


def blocks(lines):
    """Yields (depth, text) for each paragraph (depth 0) and item of a list (1, 2, …), wraps undone."""
    text, depth, indent, blank = "", 0, 0, True
    steps = []  # the columns of the signs of the lists we are in
    for line in lines:
        stripped = line.strip()
        column = len(line) - len(line.lstrip())
        item = ITEM.match(line)
        # A term and what is said about it stand in two lines without a blank one.
        fresh = blank or item or (depth == 0 and column > indent)
        if not stripped:
            blank = True
            continue
        if fresh and text:
            yield depth, text
            text = ""
        if item:
            steps = [step for step in steps if step < column] + [column]
            depth, stripped = len(steps), line[item.end():].strip()
        elif fresh:
            steps = [step for step in steps if step < column]
            depth = len(steps)
        text, indent, blank = join(text, stripped), column, False
    if text:
        yield depth, text


def requirements(section):
    """Yields (number, text) for each binding sentence, numbered within its section. A sentence that ends in a colon takes
    the items of its list as numbers of their own ("3-1.2"); an item that goes on from such a line is given with it."""
    count = 0
    lead, binds, items = "", False, 0
    held = None  # an item with lists of its own below
    for depth, text in section:
        if depth >= 2 and held is not None:
            held = (held[0], held[1] + " " + text)
            continue
        if held is not None:
            yield held
            held = None
        if depth == 1 and binds:
            items += 1
            held = (f"{count}.{items}", text)
            continue
        goes_on = depth > 0 and lead.endswith(":") and BINDING.match(text)
        for sentence in END.split(text):
            if goes_on:
                sentence, goes_on = f"{lead} {sentence}", False
            if BINDING.search(sentence):
                count += 1
                items = 0
                yield str(count), sentence
                binds = sentence.endswith(":")
            elif depth == 0:
                binds = False
            if depth == 0:
                lead = sentence
    if held is not None:
        yield held


def extracted(directory):
    found = []
    for document in WANTED:
        text = (Path(directory) / f"rfc{document}.txt").read_text(encoding="utf-8")
        for section, lines in sections(text):
            if wanted(document, section):
                for number, sentence in requirements(blocks(lines)):
                    found.append((f"{document} {section}-{number}", sentence))
    return found


def listed(path):
    """What requirements.txt says, without the reasons."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and line[0] not in "#-":
            document, number, sentence = line.split(" ", 2)
            found.append((f"{document} {number}", sentence))
    return found


def main(arguments):
    printing = arguments[:1] == ["--print"]
    if len(arguments) != (2 if printing else 1):
        print(__doc__, file=sys.stderr)
        return 2
    as_lines = lambda pairs: [f"{number} {sentence}" for number, sentence in pairs]
    there = as_lines(extracted(arguments[-1]))
    if printing:
        print("\n".join(there))
        return 0
    here = as_lines(listed(Path(__file__).with_name("requirements.txt")))
    differing = [line for line in difflib.unified_diff(here, there, "requirements.txt", "the RFCs", n=0, lineterm="")]
    print("\n".join(differing) if differing else f"{len(there)} requirements, as in the RFCs")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
