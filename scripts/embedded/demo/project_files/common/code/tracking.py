"""Tell MLflow about a training: parameters, metrics, the model, and exactly which data it saw.

MLflow notes the Git commit by itself. What it cannot know is the DVC hash of a file. The plug-in of ckanext-mlops gives
it: as the source and the digest of each input, and in the run's tags. That is what lets a catalog say which version of
the data a model was trained on. Nothing happens unless MLFLOW_TRACKING_URI names a server.
"""

import os
from pathlib import Path

EXPERIMENT = "titanic"
# MLflow saves no type that could be abused when a stranger's file is read, unless told to; this one is our own.
TRUSTED = ["sklearn.tree._tree.Tree"]


def log_training(name, model, params, metrics, inputs, target="survived"):
    """Log one finished training as one run.

    :param name: name of the run
    :param model: fitted scikit-learn estimator
    :param params: its parameters, a dict
    :param metrics: values by name, a dict of float
    :param inputs: (context, path relative to the project, frame) of each file that was read; the first is the
        training data
    """
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        print("MLFLOW_TRACKING_URI is not set: this training is not logged")
        return
    import mlflow.sklearn
    import sklearn
    from mlflow.models import infer_signature

    from ckanext.mlops.training import tracked

    project = Path(__file__).resolve().parent.parent
    mlflow.set_experiment(EXPERIMENT)
    with mlflow.start_run(run_name=name):
        for context, path, frame in inputs:
            source = tracked(project / path)
            data = mlflow.data.from_pandas(
                frame, source=source, name=Path(path).stem, targets=target, digest=source.digest
            )
            mlflow.log_input(data, context=context)
        mlflow.log_params(params)
        mlflow.log_metrics(metrics)
        features = inputs[0][2].drop(columns=[target])
        mlflow.sklearn.log_model(
            model,
            name="model",
            signature=infer_signature(features, model.predict(features)),
            pip_requirements=[f"scikit-learn=={sklearn.__version__}"],
            skops_trusted_types=TRUSTED,
        )
