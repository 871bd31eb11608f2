"""Turn the passengers into numbers."""

from pathlib import Path

import pandas as pd

DATA = Path(__file__).resolve().parent.parent / "data"
FEATURES = ["pclass", "sex", "age", "sibsp", "parch", "fare", "embarked", "boat", "body"]


def prepare(frame: pd.DataFrame, train: pd.DataFrame) -> pd.DataFrame:
    """Answer and features; what is unknown is taken from the training passengers."""
    result = frame[["survived", *FEATURES]].copy()
    result["sex"] = (frame["sex"] == "female").astype(int)
    result["age"] = frame["age"].fillna(train["age"].median())
    result["fare"] = frame["fare"].fillna(train["fare"].median())
    result["embarked"] = frame["embarked"].map({"C": 0, "Q": 1, "S": 2}).fillna(2).astype(int)
    for name in {"boat", "body"} & set(FEATURES):
        result[name] = frame[name].notna().astype(int)
    return result


if __name__ == "__main__":
    train = pd.read_csv(DATA / "train.csv")
    for name in ("train", "test"):
        prepared = prepare(pd.read_csv(DATA / f"{name}.csv"), train)
        prepared.to_csv(DATA / f"{name}_prepared.csv", index=False, lineterminator="\n")
