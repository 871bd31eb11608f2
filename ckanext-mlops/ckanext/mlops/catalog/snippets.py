"""Ready commands that give exactly this data. Every value in them is quoted: a hostile name stays a name."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import PurePosixPath

#: How pandas reads a file, by its ending.
_PANDAS = {
    ".csv": "read_csv({})",
    ".tsv": 'read_csv({}, sep="\\t")',
    ".parquet": "read_parquet({})",
    ".json": "read_json({})",
    ".jsonl": "read_json({}, lines=True)",
    ".ndjson": "read_json({}, lines=True)",
    ".xlsx": "read_excel({})",
    ".xls": "read_excel({})",
    ".feather": "read_feather({})",
    ".orc": "read_orc({})",
    ".xml": "read_xml({})",
}
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip")


@dataclass(frozen=True)
class Subject:
    """The file or folder that is wanted, at one version.

    :param dataset: name in the portal; ``version`` one that ``ckan-mlops get`` takes
    :param portal: address of the portal
    :param url: download address
    :param repository: address of the Git repository, ``""`` when none is known
    :param commit: that shows the version
    :param revision: a branch or tag that shows it, for what follows a name
    :param here: whether the portal gives it; otherwise only ways around it are named
    :param dvc: whether today's DVC can read the repository there; ``lfs``: whether git-lfs tracks it
    """

    dataset: str
    path: str
    portal: str
    url: str = ""
    version: str = ""
    repository: str = ""
    commit: str = ""
    revision: str = ""
    is_dir: bool = False
    here: bool = True
    dvc: bool = False
    lfs: bool = False


@dataclass(frozen=True)
class Snippet:
    """One way to get it: ``key`` names the way, ``language`` is ``sh`` or ``python``."""

    key: str
    language: str
    code: str


def shell(text: str) -> str:
    """A word of a POSIX shell; control characters of bash's quoting, so that none reaches the terminal."""
    if text.isprintable():
        return shlex.quote(text)
    escaped = "".join(
        char if char.isprintable() and char not in "\\'" else "".join(f"\\x{byte:02x}" for byte in char.encode())
        for char in text
    )
    return f"$'{escaped}'"


def python(text: str) -> str:
    """A literal of Python, in double quotes where that is the same."""
    plain = repr(text)
    return f'"{text}"' if plain == f"'{text}'" and '"' not in text else plain


def snippets(subject: Subject) -> list[Snippet]:
    """All ways that lead to the data."""
    found = [Snippet("ckan-mlops", "sh", _client(subject))] if subject.here else []
    name = PurePosixPath(subject.path).name or "data"
    if subject.url and subject.here:
        target = f"{name}.zip" if subject.is_dir else name
        found.append(
            Snippet(
                "curl",
                "sh",
                f'curl -fL -H "Authorization: $CKAN_API_TOKEN" -o {_file(target)} {shell(subject.url)}',
            )
        )
        if not subject.is_dir and _pandas(name):
            found.append(Snippet("pandas", "python", _pandas_url(subject, name)))
    if subject.dvc and subject.repository and subject.commit:
        found += _dvc(subject, name)
    if subject.lfs and subject.repository and subject.commit:
        found.append(Snippet("git-lfs", "sh", _lfs(subject)))
    if subject.dvc and not subject.is_dir and _pandas(name):
        found.append(Snippet("mlflow", "python", _mlflow(subject, name)))
    return found


def _client(subject: Subject) -> str:
    wanted = f"{subject.dataset}@{subject.version}" if subject.version else subject.dataset
    only = f" --file {shell(subject.path)}" if subject.path else ""
    return f"ckan-mlops get {shell(wanted)}{only} -r {shell(subject.portal)}"


def _dvc(subject: Subject, name: str) -> list[Snippet]:
    repository, path = shell(local(subject.repository)), shell(subject.path)
    commit = shell(subject.commit)
    found = [
        Snippet("dvc get", "sh", f"dvc get --rev {commit} -o {_file(name)} -- {repository} {path}"),
        Snippet("dvc import", "sh", f"dvc import --rev {commit} -o {_file(name)} -- {repository} {path}"),
    ]
    if not subject.is_dir:
        found.append(Snippet("dvc.api", "python", f"{_open(subject)}\n    data = file.read()"))
        if _pandas(name):
            read = _pandas(name).format("file")
            found.append(
                Snippet("pandas, dvc.api", "python", f"import pandas as pd\n{_open(subject)}\n    frame = pd.{read}")
            )
    return found


def _open(subject: Subject) -> str:
    return (
        "import dvc.api\n\n"
        "with dvc.api.open(\n"
        f"    {python(subject.path)},\n"
        f"    repo={python(local(subject.repository))},\n"
        f"    rev={python(subject.commit)},\n"
        '    mode="rb",\n'
        ") as file:"
    )


def _pandas(name: str) -> str:
    path = PurePosixPath(name.lower())
    suffixes = [each for each in path.suffixes if each not in _COMPRESSED]
    compressed = path.suffix in _COMPRESSED
    found = _PANDAS.get(suffixes[-1] if suffixes else "", "")
    # A file object says nothing of its compression.
    return found.replace("({}", f'({{}}, compression="{_COMPRESSIONS[path.suffix]}"') if found and compressed else found


_COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zst": "zstd", ".zip": "zip"}


def _pandas_url(subject: Subject, name: str) -> str:
    read = _pandas(name).format("io.BytesIO(answer.content)")
    return (
        "import io\nimport os\n\nimport pandas as pd\nimport requests\n\n"
        "answer = requests.get(\n"
        f"    {python(subject.url)},\n"
        '    headers={"Authorization": os.environ.get("CKAN_API_TOKEN", "")},\n'
        "    timeout=60,\n"
        ")\n"
        "answer.raise_for_status()\n"
        f"frame = pd.{read}"
    )


def _lfs(subject: Subject) -> str:
    repository, commit = shell(local(subject.repository)), shell(subject.commit)
    return (
        f"GIT_LFS_SKIP_SMUDGE=1 git clone --no-checkout -- {repository} data-repository\n"
        f"GIT_LFS_SKIP_SMUDGE=1 git -C data-repository checkout {commit} --\n"
        f"git -C data-repository lfs pull --include {shell(_glob(subject.path))}"
    )


def _mlflow(subject: Subject, name: str) -> str:
    label = re.sub(r"\W+", "-", subject.dataset)
    return (
        "import mlflow\nimport pandas as pd\n\nfrom ckanext.mlops.training import tracked\n\n"
        "# In a clone of the repository, at this version, after 'dvc pull'.\n"
        f"path = {python(subject.path)}\n"
        "source = tracked(path)\n"
        f"frame = pd.{_pandas(name).format('path')}\n"
        "with mlflow.start_run():\n"
        f"    data = mlflow.data.from_pandas(frame, source=source, name={python(label)}, digest=source.digest)\n"
        '    mlflow.log_input(data, context="training")'
    )


def local(repository: str) -> str:
    """A repository as Git and DVC take it: a folder of this machine without ``file://``."""
    return repository.removeprefix("file://")


def _file(name: str) -> str:
    """A file name that no command takes for an option."""
    return shell(f"./{name}" if name.startswith("-") else name)


def _glob(path: str) -> str:
    """A path for git-lfs, which reads patterns."""
    return re.sub(r"([*?\[\]\\,])", r"\\\1", path)
