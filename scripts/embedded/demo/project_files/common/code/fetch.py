"""Fetch the passenger list and split it as the Kaggle competition "titanic" does.

``python code/fetch.py https://www.openml.org/d/40945`` writes data/train.csv (891 passengers), data/test.csv (the
other 418) and data/gender_submission.csv (the simplest answer: every woman survived). The list comes from the copy
in source/, so no network is needed; source/README.md says where it is from and under which licence.
"""

import csv
import hashlib
import random
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
COPIES = {
    "https://www.openml.org/d/40945": (PROJECT / "source" / "titanic.csv", "7e57f54b9b4365eabe5e47bb4b4108a7"),
}
TRAIN_SIZE = 891
SEED = 1912


def main() -> None:
    """Write the three files of the competition."""
    address = sys.argv[1]
    if address not in COPIES:
        sys.exit(f"no copy of {address} in source/; known: {', '.join(COPIES)}")
    path, md5 = COPIES[address]
    content = path.read_bytes()
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        sys.exit(f"{path} is not the list that {address} publishes; get it again with 'git checkout source'")
    header, *passengers = csv.reader(content.decode("utf-8").splitlines())
    rows = [[str(number), *passenger] for number, passenger in enumerate(passengers, 1)]
    chosen = set(random.Random(SEED).sample(range(len(rows)), TRAIN_SIZE))
    header = ["passenger_id", *header]
    test = [row for index, row in enumerate(rows) if index not in chosen]
    write("train.csv", header, [row for index, row in enumerate(rows) if index in chosen])
    write("test.csv", header, test)
    sex = header.index("sex")
    write("gender_submission.csv", ["passenger_id", "survived"], [[row[0], int(row[sex] == "female")] for row in test])
    print(f"{address}: {len(rows)} passengers from {path.relative_to(PROJECT)}")


def write(name: str, header: list, rows: list) -> None:
    """Write data/``name``, lines ending in LF everywhere so that its hash is the same everywhere."""
    path = PROJECT / "data" / name
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


if __name__ == "__main__":
    main()
