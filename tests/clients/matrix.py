"""The table of clients and features in the README, from what the client tests have shown.

    matrix.py SHOWN README [--write] [--all]

SHOWN has a line of JSON per test, client and feature. Without `--write` the README's rows of these clients must say what the
tests showed, and with `--all` there must be no other rows; with it they are replaced. The exit code is 1 when they differ.
"""

import json
import sys
from pathlib import Path

# The columns, in this order.
FEATURES = [
    "text", "stream", "tools", "structured", "thinking", "images", "caching", "counting", "models", "errors",
    "stored", "background", "compaction", "30 turns", "hosted tools",
]
BEGIN = "<!-- clients: written by tests/run -->"
END = "<!-- end of clients -->"

Rows = dict[str, list[str]]


def shown(path: Path) -> Rows:
    """Client to cells: `yes` when every test of a feature passed, `no` when one failed, nothing when there is none."""
    cells: dict[str, dict[str, bool]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        seen = json.loads(line)
        if seen["feature"] not in FEATURES:
            sys.exit(f"{seen['test']} shows {seen['feature']!r}, which is no column of tests/clients/matrix.py")
        row = cells.setdefault(seen["client"], {})
        row[seen["feature"]] = row.get(seen["feature"], True) and seen["passed"]
    word = {True: "yes", False: "no", None: ""}
    return {client: [word[row.get(feature)] for feature in FEATURES] for client, row in cells.items()}


def parts(readme: str) -> tuple[str, str, str]:
    """The README before the table, the table, and the rest."""
    before, begin, rest = readme.partition(BEGIN)
    table, end, after = rest.partition(END)
    if not (begin and end):
        sys.exit(f"the README has no place for the table: {BEGIN} and {END}")
    return before, table, after


def printed(table: str) -> Rows:
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()]
    return {line[0]: line[1:] for line in lines[2:]}


def markdown(rows: Rows) -> str:
    lines = [["Client", *FEATURES], ["---"] * (len(FEATURES) + 1), *([client, *rows[client]] for client in sorted(rows))]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main(arguments: list[str]) -> int:
    flags = {argument for argument in arguments if argument.startswith("--")}
    shown_path, readme_path = (Path(argument) for argument in arguments if not argument.startswith("--"))
    if unknown := flags - {"--write", "--all"}:
        sys.exit(f"unknown {unknown}\n{__doc__}")
    rows = shown(shown_path)
    before, table, after = parts(readme_path.read_text(encoding="utf-8"))
    kept = {} if "--all" in flags else {client: cells for client, cells in printed(table).items() if client not in rows}
    wanted = f"\n{markdown({**kept, **rows})}\n"
    if "--write" in flags:
        readme_path.write_text(before + BEGIN + wanted + END + after, encoding="utf-8")
    elif table != wanted:
        print("The README's table of clients differs from what the tests showed:")
        old, new = table.strip().splitlines(), wanted.strip().splitlines()
        print("\n".join([f"- {line}" for line in old if line not in new] + [f"+ {line}" for line in new if line not in old]))
        print("tests/run --write-clients puts it right.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
