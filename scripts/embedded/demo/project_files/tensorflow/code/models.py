"""The models that params.yaml can name.

This branch asks whether a neural network does better. It was meant for TensorFlow, hence its name; a network of this
size needs no more than scikit-learn's, which is installed anyway and gives the same result on every run.
"""

from sklearn.ensemble import RandomForestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def build(name: str, options: dict, seed: int):
    """An untrained estimator.

    :param name: its name under ``train`` in params.yaml
    :param options: its own parameters there
    """
    if name == "random_forest":
        return RandomForestClassifier(random_state=seed, **options)
    if name == "neural_network":
        return make_pipeline(StandardScaler(), MLPClassifier(random_state=seed, **options))
    raise SystemExit(f"params.yaml: train.model is {name!r}; known: random_forest, neural_network")
