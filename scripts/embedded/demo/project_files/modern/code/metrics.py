"""Compare the answers with what happened: metrics.json and two plots."""

import json
from pathlib import Path

import pandas as pd
from scores import scores

PROJECT = Path(__file__).resolve().parent.parent
NAMES = {False: "died", True: "survived"}


def roc(survived: pd.Series, probability: pd.Series) -> pd.DataFrame:
    """The ROC curve, one point per distinct probability, from the strictest to the mildest."""
    counts = pd.crosstab(probability, survived).sort_index(ascending=False).cumsum()
    rates = counts / counts.iloc[-1]
    return pd.DataFrame({"false_positive_rate": rates[0].round(6), "true_positive_rate": rates[1].round(6)})


if __name__ == "__main__":
    answers = pd.read_csv(PROJECT / "data" / "predictions.csv")
    values = scores(answers["survived"], answers["probability"])
    (PROJECT / "metrics.json").write_text(json.dumps(values, indent=2) + "\n")
    plots = PROJECT / "plots"
    plots.mkdir(exist_ok=True)
    curve = roc(answers["survived"], answers["probability"])
    curve.to_csv(plots / "roc.csv", index=False, lineterminator="\n")
    actual, predicted = answers["survived"].astype(bool).map(NAMES), (answers["probability"] >= 0.5).map(NAMES)
    confusion = pd.DataFrame({"actual": actual, "predicted": predicted})
    confusion.to_csv(plots / "confusion.csv", index=False, lineterminator="\n")
