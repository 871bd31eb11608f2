"""Bounds on what a repository may make the reader do; every one of them ends in a named error or Problem."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Defaults fit repositories of 10⁵ commits and 10⁴ stages.

    :param refs: selected references
    :param commits: commits when all of them are asked for
    :param trees: distinct folders kept or met while walking one revision
    :param depth: nested folders
    :param dvc_files: files that DVC would open at one revision
    :param stages: stages of one file and of one revision
    :param dvc_bytes: size of one ``dvc.yaml``, ``dvc.lock``, ``*.dvc``
    :param value_bytes: size of one params, metrics or plots file
    :param text_bytes: size of README and licence that is kept
    :param lines: lines of one DVC or values file
    :param yaml_depth: nested collections in one document
    :param yaml_nodes: values of one document after aliases are expanded
    :param generated: stages that ``foreach`` and ``matrix`` of one file may make
    :param text: characters of one name or path; descriptions and commands may have ten times as many
    :param seconds: wall time of reading one repository, 0 for none
    :param stored_bytes: size of one metrics file that is fetched from a storage
    :param stored_files: metrics files that one reading fetches from storages
    :param stored_seconds: wall time of fetching them
    """

    refs: int = 20_000
    commits: int = 200_000
    trees: int = 500_000
    depth: int = 100
    dvc_files: int = 50_000
    stages: int = 20_000
    dvc_bytes: int = 16_000_000
    value_bytes: int = 4_000_000
    text_bytes: int = 65_536
    lines: int = 500_000
    yaml_depth: int = 60
    yaml_nodes: int = 2_000_000
    generated: int = 10_000
    text: int = 1_000
    seconds: float = 0.0
    stored_bytes: int = 1_000_000
    stored_files: int = 1_000
    stored_seconds: float = 60.0


DEFAULTS = Limits()
