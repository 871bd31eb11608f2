"""How to make an output of a version again: exact commands, and the same as JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ckanext.mlops.core.said import said

from .snippets import local, shell


def legacy(facts: Mapping[str, Any]) -> bool:
    """Whether the stage is a stage file of DVC 0.x or 1.x, which today's DVC cannot run."""
    return (
        "dvc.yaml:" not in str(facts.get("address"))
        and bool(facts.get("command"))
        and str(facts.get("file") or "").endswith((".dvc", "Dvcfile"))
    )


def recipe(repository: str, commit: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe of a version.

    :param commit: that shows the version
    :param facts: of the version
    :returns: ``repository``, ``commit``, ``stage``, ``command``, ``inputs``, ``params``, ``outputs`` (with the hashes
        that must come out), ``commands`` of a shell, and ``notes`` on what is not in Git
    """
    address = str(facts.get("address") or "")
    inputs = [_input(each) for each in facts.get("deps") or () if isinstance(each, Mapping)]
    outputs = [
        {key: each.get(key) for key in ("path", "hash", "algorithm", "size") if each.get(key) is not None}
        for each in facts.get("outs") or ()
        if isinstance(each, Mapping)
    ]
    command = str(facts.get("command") or "")
    return {
        "format": 1,
        "repository": repository,
        "commit": commit,
        "stage": address,
        "command": command,
        "inputs": inputs,
        "params": [dict(each) for each in facts.get("params") or ()],
        "outputs": outputs,
        "commands": _commands(repository, commit, address, command, facts),
        "notes": _notes(command, facts),
    }


def _commands(repository: str, commit: str, address: str, command: str, facts: Mapping[str, Any]) -> list[str]:
    found = [
        f"git clone -- {shell(local(repository))} reproduced",
        "cd reproduced",
        f"git checkout --detach {shell(commit)} --",
    ]
    if not command:
        targets = " ".join(shell(str(each["path"])) for each in facts.get("outs") or () if each.get("path"))
        return [*found, f"dvc pull -- {targets}".rstrip()]
    # Everything but the outputs of the stage, which are to come out again.
    paths = [str(each["path"]) for each in facts.get("deps") or () if each.get("kind", "path") == "path"]
    inputs = " ".join(shell(path) for path in paths if path)
    if inputs:
        # What Git holds itself is no target of DVC: pulling all inputs may say so and is right nevertheless.
        found.append(f'for input in {inputs}; do test -e "$input" || dvc pull -- "$input" || exit 1; done')
    found += [
        f"dvc repro --single-item --force -- {shell(address)}",
        f"git diff --exit-code -- {shell(_lock(facts))} && echo 'The same hashes came out.'",
    ]
    return found


def _lock(facts: Mapping[str, Any]) -> str:
    """The file that records what came out."""
    file = str(facts.get("file") or "dvc.yaml")
    return f"{file[: -len('dvc.yaml')]}dvc.lock" if file.endswith("dvc.yaml") else file


def _input(dependency: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("path", "kind", "hash", "algorithm", "size", "source", "rev_lock")
    return {key: dependency[key] for key in keys if dependency.get(key) not in (None, "")}


def _notes(command: str, facts: Mapping[str, Any]) -> list[str]:
    notes = []
    if legacy(facts):
        notes.append(
            said("The stage is a stage file of DVC before 2.0: run it with 'dvc<2' (pip install 'dvc==1.11.16').")
        )
    if command:
        notes.append(
            said("Versions of Python and of its packages are not in DVC's files: use those of the repository.")
        )
    else:
        notes.append(said("No command made it: it was added, or imported. Its content can be taken only."))
    return notes
