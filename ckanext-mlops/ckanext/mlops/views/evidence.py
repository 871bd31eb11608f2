"""Why a tie between a dataset and a run is believed, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ckan.plugins import toolkit as tk

from ckanext.mlops.lineage_page.words import Words, kept


def badge(tie: Mapping[str, Any]) -> tuple[str, str]:
    """Word and colour of a tie: how sure it is, and by what."""
    evidence = tie.get("evidence") or {}
    if tie.get("origin") == "asserted":
        if (evidence.get("found") or {}).get("strength") == "exact":
            same = not tie.get("version") or tie["version"] == evidence["found"]["choices"][0].get("version")
            return (tk._("asserted, confirmed"), "bg-success") if same else (tk._("asserted, disputed"), "bg-danger")
        return tk._("asserted"), "bg-secondary"
    if tie.get("origin") == "declared":
        return tk._("declared"), "bg-secondary"
    rung = _rungs().get(evidence.get("rung", ""), "")
    strength = evidence.get("strength")
    if strength == "exact":
        return tk._("exact: {rung}").format(rung=rung), "bg-danger" if evidence.get("against") else "bg-success"
    if strength == "candidate":
        return tk._("one of several: {rung}").format(rung=rung), "bg-warning text-dark"
    return tk._("perhaps: {rung}").format(rung=rung or "?"), "bg-warning text-dark"


def reasons(evidence: Mapping[str, Any]) -> list[str]:
    """What speaks for a tie, what keeps it from being exact, and what speaks against it."""
    found = [text for mark in evidence.get("why") or () if (text := _reason(str(mark), evidence))]
    for mark in evidence.get("against") or ():
        rung, _, value = str(mark).partition(":")
        if rung == "hash":
            found.append(tk._("Against it: the run itself names other content, {hash}.").format(hash=value[:12]))
        else:
            found.append(tk._("Against it: the commits around the run have {hash}.").format(hash=value[:12]))
    later = evidence.get("found")
    if later:
        found.append(tk._("Found beside it:"))
        found += reasons(later)
    return found


def _reason(mark: str, evidence: Mapping[str, Any]) -> str:
    kind, _, value = mark.partition(":")
    commit = str(evidence.get("commit", ""))[:8]
    return _reasons().get(kind, "").format(where=_places().get(value, value), commit=commit, name=value)


@kept
def _rungs() -> Words:
    return {"hash": tk._("hash"), "commit": tk._("commit"), "source": tk._("address"), "name": tk._("name")}


@kept
def _places() -> Words:
    """Where a run names content."""
    return {"input": tk._("a dataset input"), "tag": tk._("a tag"), "param": tk._("a parameter")}


@kept
def _reasons() -> Words:
    """What each mark of evidence says."""
    return {
        "named": tk._("The run names this very content ({where})."),
        "path": tk._("The run says that it read this file, at commit {commit}."),
        "path-perhaps": tk._("The run read a file of this path, perhaps of another folder."),
        "script": tk._("The run's script is that of a stage which reads this, at commit {commit}."),
        "stage": tk._("The run is an execution of the stage that reads this, at commit {commit}."),
        "equal-before-and-after": tk._("The content is equal at that commit and in all that was committed after it."),
        "metrics-equal": tk._("The run's metrics are those that were committed."),
        "params-equal": tk._("The run's parameters are those that were committed."),
        "metrics-differ": tk._(
            "The run's metrics are in no commit around it: files were changed, or something is random."
        ),
        "params-differ": tk._("The run's parameters are in no commit around it: files were changed."),
        "changed-files": tk._("The run says that files were changed and not committed."),
        "changed-between": tk._("The content changed between that commit and the next: it may be either."),
        "nothing-committed-since": tk._("Nothing was committed after the run yet, so nothing confirms it."),
        "commit-after-start": tk._("The commit is younger than the run's start."),
        "several-repositories": tk._("Several repositories have this commit, and the run names none."),
        "other-repository": tk._("The run names another repository, which this portal does not harvest."),
        "several-datasets": tk._("Several datasets have this content."),
        "several-stages": tk._("Several stages run this script."),
        "inputs-elsewhere": tk._("The run names inputs that are not in this repository."),
        "no-hash": tk._("The content's hash is not known."),
        "committed-after": tk._("It was committed after the run, from the run's commit."),
        "not-confirmed": tk._("No metric confirms that this run made it."),
        "another-run-followed": tk._("Another run of the same script followed before that commit."),
        "stored-there": tk._("An input's address is where this is stored; which version was there is not known."),
        "name": tk._("Only a name says so: {name}."),
    }
