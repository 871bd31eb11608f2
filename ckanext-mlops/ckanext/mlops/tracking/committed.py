"""MLflow file stores that are committed in a repository, as servers that the configuration names.

The repository's mirror is the harvester's own, under the same policy and credentials; a sync brings it up to date.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property

from ckanext.mlops.core.errors import MlflowError, RepositoryError
from ckanext.mlops.core.mirror import existing_mirror, update_mirror
from ckanext.mlops.core.repository import Selection, read_repository
from ckanext.mlops.core.revision_files import RevisionFiles
from ckanext.mlops.harvesting import repositories


@dataclass(eq=False)
class CommittedTree:
    """The files of a store, for :class:`ckanext.mlops.core.mlflow_files.FileStore`; opened when first asked for.

    :param server: the server's name, for messages
    :param revision: branch or tag; that of HEAD when empty
    :param path: of the store in the repository
    :param credential: name of a credential for repositories, or empty
    :param fetch: bring the mirror up to date before; else read what is there
    """

    server: str
    url: str
    revision: str
    path: str
    credential: str
    fetch: bool

    def folders(self, path: str) -> Sequence[str]:
        """Names of the folders in a folder, sorted."""
        return self._files.folders(path)

    def files(self, path: str) -> Sequence[str]:
        """Names of the files in a folder, sorted."""
        return self._files.files(path)

    def read(self, path: str, limit: int) -> bytes | None:
        """Content of a file; None when there is none, or it is larger than ``limit``."""
        return self._files.read(path, limit)

    @cached_property
    def _files(self) -> RevisionFiles:
        try:
            return self._open()
        except (RepositoryError, repositories.Misconfigured) as error:
            raise MlflowError(f"MLflow server {self.server}: {error}") from None

    def _open(self) -> RevisionFiles:
        if self.fetch:
            policy, credential = repositories.policy(), repositories.credential(self.credential, self.url)
            git_dir = update_mirror(self.url, repositories.mirrors(), policy=policy, credential=credential).git_dir
        else:
            found = existing_mirror(self.url, repositories.mirrors())
            if found is None:
                raise MlflowError(f"MLflow server {self.server}: its repository was not copied yet; run a sync of it.")
            git_dir = found
        names = (self.revision,) if self.revision else ("*",)
        selection = Selection(branches=names, tags=names if self.revision else ())
        reading = read_repository(git_dir, url=self.url, selection=selection, limits=repositories.limits())
        wanted = self.revision or reading.repository.default_branch
        revision = next((each for each in reading.revisions if each.name == wanted), None)
        if revision is None:
            raise MlflowError(f"MLflow server {self.server}: its repository has no branch or tag {wanted or 'HEAD'}.")
        stack = ExitStack()
        files = stack.enter_context(reading.files(revision))
        weakref.finalize(self, stack.close)
        return files.at(self.path)
