"""Every exception that this package raises on purpose.

    MlopsError
    ├── RepositoryError        a repository as a whole cannot be read
    │   ├── AddressRefused     its URL is not allowed here (scheme, host, folder, option smuggling)
    │   ├── FetchFailed        Git could not clone or fetch it (auth, network, limits)
    │   └── LimitExceeded      it is larger than a configured bound
    ├── ContentError           one file or stage cannot be understood; becomes a Problem record
    └── MlflowError            an MLflow server refused, failed or answered nonsense
        └── MlflowUnavailable  it did not answer at all, or with a 5xx

A message names the thing, the place and the remedy: ``dvc.lock, stage train: output model.pkl
has no md5; run 'dvc commit'``. No message holds a credential.
"""

from __future__ import annotations


class MlopsError(Exception):
    """Base of all errors of ckanext-mlops; ``str()`` is fit to be shown to a person."""


class RepositoryError(MlopsError):
    """A repository as a whole cannot be read."""


class AddressRefused(RepositoryError):
    """The repository's URL is not allowed here."""


class FetchFailed(RepositoryError):
    """Git could not clone or fetch the repository."""


class LimitExceeded(RepositoryError):
    """The repository is larger than a configured bound."""


class ContentError(MlopsError):
    """One file or one stage cannot be understood.

    :param message: what is wrong, in a sentence
    :param path: the file, relative to the repository's root
    :param line: 1-based line where known
    :param remedy: what the file's owner can do
    """

    def __init__(self, message: str, *, path: str = "", line: int | None = None, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.line = line
        self.remedy = remedy


class MlflowError(MlopsError):
    """An MLflow server refused the request or answered something that is not its API."""


class MlflowUnavailable(MlflowError):
    """An MLflow server did not answer, or answered with a server error."""
