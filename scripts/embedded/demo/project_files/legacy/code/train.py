"""Train a logistic regression and write down how good it is."""

import json
from pathlib import Path

import joblib
import pandas as pd
from scores import scores
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tracking import log_training

PROJECT = Path(__file__).resolve().parent.parent
TRAIN, TEST = "data/train_prepared.csv", "data/test_prepared.csv"
MAX_ITER = 200

if __name__ == "__main__":
    train, test = pd.read_csv(PROJECT / TRAIN), pd.read_csv(PROJECT / TEST)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=MAX_ITER))
    model.fit(train.drop(columns="survived"), train["survived"])
    probability = pd.Series(model.predict_proba(test.drop(columns="survived"))[:, 1])
    metrics = scores(test["survived"], probability)
    (PROJECT / "models").mkdir(exist_ok=True)
    joblib.dump(model, PROJECT / "models" / "model.pkl")
    (PROJECT / "data" / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    params = {"model": "logistic_regression", "max_iter": MAX_ITER}
    log_training(
        "logistic_regression", model, params, metrics, [("training", TRAIN, train), ("evaluation", TEST, test)]
    )
    print(metrics)
