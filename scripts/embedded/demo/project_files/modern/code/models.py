"""The models that params.yaml can name."""

from sklearn.ensemble import RandomForestClassifier


def build(name: str, options: dict, seed: int):
    """An untrained estimator.

    :param name: its name under ``train`` in params.yaml
    :param options: its own parameters there
    """
    if name == "random_forest":
        return RandomForestClassifier(random_state=seed, **options)
    raise SystemExit(f"params.yaml: train.model is {name!r}; known: random_forest")
