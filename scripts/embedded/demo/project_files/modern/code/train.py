"""Train the model that params.yaml names. Params: seed, train."""

from pathlib import Path

import joblib
import pandas as pd
import yaml
from models import build
from scores import scores
from tracking import log_training

PROJECT = Path(__file__).resolve().parent.parent
TRAIN, TEST = "data/train_prepared.csv", "data/test_prepared.csv"

if __name__ == "__main__":
    params = yaml.safe_load((PROJECT / "params.yaml").read_text())
    name = params["train"]["model"]
    options = params["train"][name]
    train, test = pd.read_csv(PROJECT / TRAIN), pd.read_csv(PROJECT / TEST)
    features, answers = train.drop(columns="survived"), train["survived"]
    model = build(name, options, params["seed"]).fit(features, answers)
    probability = pd.Series(model.predict_proba(test.drop(columns="survived"))[:, 1])

    (PROJECT / "models").mkdir(exist_ok=True)
    joblib.dump(model, PROJECT / "models" / "model.pkl")
    predictions = pd.DataFrame({"survived": test["survived"], "probability": probability.round(9)})
    predictions.to_csv(PROJECT / "data" / "predictions.csv", index=False, lineterminator="\n")

    metrics = scores(test["survived"], predictions["probability"])
    metrics["train_accuracy"] = round(float(model.score(features, answers)), 6)
    logged = {"model": name, "seed": params["seed"], **options}
    log_training(name, model, logged, metrics, [("training", TRAIN, train), ("evaluation", TEST, test)])
