"""How good the answers are. One place, so that MLflow and metrics.json hold the same numbers."""

import pandas as pd


def scores(survived: pd.Series, probability: pd.Series) -> dict:
    """Accuracy, precision, recall, F1 and area under the ROC curve, rounded to six digits."""
    answer = probability >= 0.5
    truth = survived.astype(bool)
    hits = int((answer & truth).sum())
    precision = hits / max(int(answer.sum()), 1)
    recall = hits / max(int(truth.sum()), 1)
    positives, negatives = int(truth.sum()), int((~truth).sum())
    area = (probability.rank()[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives)
    values = {
        "accuracy": (answer == truth).mean(),
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / max(precision + recall, 1e-12),
        "roc_auc": area,
    }
    return {name: round(float(value), 6) for name, value in values.items()}
