"""Turn the passengers into numbers. Params: prepare.family_size, prepare.title."""

from pathlib import Path

import pandas as pd
import yaml

PROJECT = Path(__file__).resolve().parent.parent
DATA = PROJECT / "data"
TITLES = {"Mr": 0, "Mrs": 1, "Miss": 2, "Master": 3}


def prepare(frame: pd.DataFrame, train: pd.DataFrame, params: dict) -> pd.DataFrame:
    """Answer and features; what is unknown is taken from the training passengers."""
    result = frame[["survived", "pclass", "sex", "age", "sibsp", "parch", "fare", "embarked"]].copy()
    result["sex"] = (frame["sex"] == "female").astype(int)
    result["age"] = frame["age"].fillna(train["age"].median())
    result["fare"] = frame["fare"].fillna(train["fare"].median())
    result["embarked"] = frame["embarked"].map({"C": 0, "Q": 1, "S": 2}).fillna(2).astype(int)
    if params["family_size"]:
        result["family_size"] = frame["sibsp"] + frame["parch"] + 1
    if params["title"]:
        title = frame["name"].str.extract(r", ([^.]+)\.", expand=False)
        result["title"] = title.map(TITLES).fillna(len(TITLES)).astype(int)
    return result


if __name__ == "__main__":
    params = yaml.safe_load((PROJECT / "params.yaml").read_text())["prepare"]
    train = pd.read_csv(DATA / "train.csv")
    for name in ("train", "test"):
        prepared = prepare(pd.read_csv(DATA / f"{name}.csv"), train, params)
        prepared.to_csv(DATA / f"{name}_prepared.csv", index=False, lineterminator="\n")
