"""Which run used or wrote which version of which dataset, and why that is believed. Pure: records in, matches out.

The ladder, strongest first: ``hash`` (the run names the content), ``commit`` (the run began at a commit that we know,
and what was committed after it says the same), ``source`` (an input's address is where an output is stored). Names and
MLflow's own digests are no evidence and are not looked at here.

MLflow notes the commit that was checked out when a run *started*; what the run changed is committed later. So an input
is *exact* only when it is the same at that commit X and at everything that was committed on any line from X up to the
first commit after the run's end, and when nothing that the run says (its params, its metrics, a mark of changed files,
another hash for that file) speaks against those commits. An output is exact only in a later commit that changed its
stage and has the run's own metric values. Everything else is a candidate: one of several versions, or less.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from . import run_claims
from .matches import RUNGS, STRENGTHS, Bracket, Choice, Match, Place, State, Strength
from .mlflow_records import Run
from .records import Stage

#: Content that says nothing: the empty file and the empty folder.
EMPTY = frozenset(
    {
        "d41d8cd98f00b204e9800998ecf8427e",
        "d751713988987e9331980363e24189ce.dir",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    }
)
MAX_CHOICES = 10


def match(
    run: Run,
    brackets: Sequence[Bracket] = (),
    content: Mapping[str, Sequence[Place]] | None = None,
    stored: Mapping[str, Sequence[Place]] | None = None,
) -> list[Match]:
    """All ties of a run; the strongest for each dataset and relation.

    :param brackets: one for each known repository that has the run's commit
    :param content: places by hash, of the hashes that the run names
    :param stored: places by storage address, of the addresses that its inputs name
    """
    found = [
        *_by_hash(run, brackets, content or {}),
        *_by_commit(run, brackets),
        *_by_source(run, stored or {}),
    ]
    return _combined(found)


def _by_hash(run: Run, brackets: Sequence[Bracket], content: Mapping[str, Sequence[Place]]) -> Iterable[Match]:
    said = run_claims.repository(run)
    repositories = {said} if said else {bracket.repository for bracket in brackets}
    read = {
        (bracket.at.ids[owner[0]][0], path)
        for bracket in brackets
        for path in run_claims.read_paths(
            run, bracket.at.stages, run_claims.stages(run, bracket.at.stages), bracket.name
        )
        if (owner := run_claims.producer(bracket.at.stages, path))
    }
    for claim in run_claims.claims(run):
        places = [] if claim.hash in EMPTY else list(content.get(claim.hash, ()))
        for narrower in (
            [place for place in places if place.repository in repositories],
            [place for place in places if claim.path and _same_path(claim.path, place.path)],
            [place for place in places if (place.dataset, place.path) in read],
            [place for place in places if not place.imported],
        ):
            kept = [place for place in places if place in narrower]
            places = kept or places
        datasets = list(dict.fromkeys(place.dataset for place in places))
        for dataset in datasets[:MAX_CHOICES]:
            chosen = _chosen([place for place in places if place.dataset == dataset], run, brackets)
            strength: Strength = "exact" if len(datasets) == 1 else "doubtful"
            why = (f"named:{claim.where}", *(() if strength == "exact" else ("several-datasets",)))
            choice = Choice(chosen.version, chosen.path, claim.hash, chosen.commit)
            yield Match(dataset, claim.relation, "hash", strength, (choice,), why)


def _same_path(said: str, path: str) -> bool:
    return said == path or said.endswith("/" + path)


def _chosen(places: list[Place], run: Run, brackets: Sequence[Bracket]) -> Place:
    """Of versions with one content: the one at the run's commit, else the newest before its end, else the oldest."""
    at = {version for bracket in brackets for _, version in bracket.at.ids.values()}
    there = [place for place in places if place.version in at]
    if there:
        return there[0]
    places = sorted(places, key=lambda place: (place.committed, place.version))
    before = [place for place in places if not run.end or place.committed <= run.end]
    return before[-1] if before else places[0]


def _by_commit(run: Run, brackets: Sequence[Bracket]) -> Iterable[Match]:
    said = run_claims.repository(run)
    own = [bracket for bracket in brackets if bracket.repository == said]
    doubt: tuple[str, ...] = ()
    if not own:
        own = list(brackets)
        if said and not said.startswith("file:"):  # a folder of the training machine names no repository
            doubt = ("other-repository",)
        elif len(own) > 1:
            doubt = ("several-repositories",)
    for bracket in own:
        found = [*_inputs(run, bracket), *_outputs(run, bracket)]
        yield from (replace(one, strength="doubtful", why=one.why + doubt) if doubt else one for one in found)


def _inputs(run: Run, bracket: Bracket) -> Iterable[Match]:
    stages = run_claims.stages(run, bracket.at.stages)
    read = run_claims.read_paths(run, bracket.at.stages, stages, bracket.name)
    states = (bracket.at, *bracket.later)
    shared = [
        *(() if bracket.closed else ("nothing-committed-since",)),
        *(("commit-after-start",) if bracket.at.time > run_claims.seconds(run.start) else ()),
        *(("changed-files",) if run_claims.is_dirty(run) else ()),
    ]
    values = _values(run, stages, states)
    shared += [mark for mark in values if mark.endswith("-differ")]
    claims = run_claims.claims(run)
    around = {out.hash for state in states for stage in state.stages.values() for out in stage.outs}
    # Content of no known file: of which one the run does not say, so it may be of any.
    strange = {
        claim.hash
        for claim in claims
        if claim.is_data and not claim.path and claim.relation != "produced" and claim.hash not in around
    }
    for path, (relation, marks) in read.items():
        choices: dict[tuple[str, str], Choice] = {}
        dataset = ""
        for state in states:
            producer = run_claims.producer(state.stages, path)
            if producer is None:
                choices[("", "")] = Choice("", path, "", state.commit)
                continue
            address, hash_ = producer
            owner, version = state.ids[address]
            dataset = dataset or owner
            choices.setdefault((owner, hash_), Choice(version, path, hash_, state.commit))
            for name in stages:
                # DVC locks what a stage really read; it may be newer than what the producer's own entry says.
                locked = run_claims.locked(state.stages.get(name), path) if state is not bracket.at else ""
                if locked and locked != hash_:
                    choices.setdefault((owner, locked), Choice("", path, locked, state.commit))
        if not dataset:
            continue
        why = [*marks, *shared]
        first = next(iter(choices.values()))
        if len(choices) > 1:
            why.append("changed-between")
        if not first.hash:
            why.append("no-hash")
        named = {claim.hash for claim in claims if claim.path and _same_path(claim.path, path)} | strange
        against = tuple(f"hash:{each}" for each in sorted(named - {first.hash}))
        exact = not against and why == [mark for mark in marks if mark in run_claims.CLEAR]
        good = ("equal-before-and-after", *(mark for mark in values if mark.endswith("-equal"))) if exact else ()
        kept = tuple(choice for choice in choices.values() if choice.hash)[:MAX_CHOICES]
        yield Match(dataset, relation, "commit", "exact" if exact else "candidate", kept, (*why, *good), against)


def _outputs(run: Run, bracket: Bracket) -> Iterable[Match]:
    if run.status != "FINISHED":
        return
    names = run_claims.stages(run, bracket.at.stages)
    unsure = [
        *(("several-stages",) if len(names) > 1 else ()),
        *(("another-run-followed",) if bracket.followed else ()),
        *(() if bracket.closed else ("nothing-committed-since",)),
        *(("changed-files",) if run_claims.is_dirty(run) else ()),
    ]
    for name in names:
        dataset, before = bracket.at.ids[name]
        changed: dict[str, tuple[State, str]] = {}
        for state in bracket.later:
            stage = state.stages.get(name)
            if stage is not None and state.ids[name][1] != before and _wrote(stage, bracket.at.stages[name]):
                verdict = next((mark for mark in _values(run, [name], (state,)) if mark.startswith("metrics")), "")
                if verdict != "metrics-differ":
                    changed.setdefault(state.ids[name][1], (state, verdict))
        confirmed = {version: each for version, each in changed.items() if each[1] == "metrics-equal"}
        if not changed:
            continue
        exact = len(confirmed) == 1 and not unsure
        kept = confirmed or changed
        why = [*unsure, "committed-after"]
        why += ["metrics-equal"] if confirmed else ["not-confirmed"]
        choices = tuple(
            Choice(version, commit=state.commit, hash=_first_hash(state.stages[name]))
            for version, (state, _) in kept.items()
        )
        yield Match(dataset, "produced", "commit", "exact" if exact else "candidate", choices[:MAX_CHOICES], tuple(why))


def _wrote(stage: Stage, before: Stage) -> bool:
    """Whether the stage was run between the two: DVC then writes what it read and wrote."""
    return stage.outs != before.outs or stage.deps != before.deps or stage.metrics != before.metrics


def _first_hash(stage: Stage) -> str:
    return next((out.hash or out.blob for out in stage.outs if out.hash or out.blob), "") or ""


def _values(run: Run, names: Sequence[str], states: Sequence[State]) -> list[str]:
    """Whether params and metrics that run and stage have in common are equal at any of the states."""
    stages = [state.stages[name] for state in states for name in names if name in state.stages]
    marks = []
    for label, own, theirs in (
        ("params", run.params, [run_claims.params(stage) for stage in stages]),
        ("metrics", run.metrics, [run_claims.metrics(stage) for stage in stages]),
    ):
        common = {key for key in own for values in theirs if key in values}
        if common:
            # All of one state: half of one commit and half of another are equal to neither.
            equal = any(
                all(key not in values or run_claims.equal(own[key], values[key]) for key in common)
                and any(key in values for key in common)
                for values in theirs
            )
            marks.append(f"{label}-{'equal' if equal else 'differ'}")
    return marks


def _by_source(run: Run, stored: Mapping[str, Sequence[Place]]) -> Iterable[Match]:
    """An address says which dataset it is, never which version: what is stored there can change."""
    for item in run.inputs:
        places = stored.get(item.uri, ()) if item.uri else ()
        datasets = list(dict.fromkeys(place.dataset for place in places))
        for dataset in datasets[:MAX_CHOICES]:
            choices = {
                place.version: Choice(place.version, place.path, place.hash, place.commit)
                for place in places
                if place.dataset == dataset
            }
            why = ("stored-there", *(("several-datasets",) if len(datasets) > 1 else ()))
            strength: Strength = "candidate" if len(datasets) == 1 else "doubtful"
            relation = run_claims.relation_of(item.context) or "used"
            yield Match(dataset, relation, "source", strength, tuple(choices.values())[:MAX_CHOICES], why)


def _combined(found: Iterable[Match]) -> list[Match]:
    """One match for each dataset and relation; "used" gives way to a relation that says more."""
    groups: dict[tuple[str, bool], list[Match]] = {}
    for one in found:
        groups.setdefault((one.dataset, one.relation == "produced"), []).append(one)
    result = []
    for members in groups.values():
        relations = list(dict.fromkeys(one.relation for one in members))
        telling = [relation for relation in relations if relation != "used"] or relations
        for relation in telling:
            own = [one for one in members if one.relation in (relation, "used")]
            own.sort(key=lambda one: (STRENGTHS.index(one.strength), RUNGS.index(one.rung)))
            result.append(replace(_against(own[0], own[1:]), relation=relation))
    return result


def _against(best: Match, others: Sequence[Match]) -> Match:
    """The match with what the weaker evidence says otherwise about the same file."""
    said = {choice.hash for choice in best.choices}
    paths = {choice.path for choice in best.choices}
    against = list(best.against)
    for other in others:
        hashes = {choice.hash for choice in other.choices if choice.hash and choice.path in paths}
        if best.strength == "exact" and hashes and not hashes & said:
            against.append(f"{other.rung}:{sorted(hashes)[0]}")
    # Against content that the run itself names nothing weaker is exact; nor is one of two that it names for one file.
    named = any(mark.startswith("hash:") for mark in against)
    strength: Strength = "candidate" if named and best.strength == "exact" else best.strength
    return replace(best, strength=strength, against=tuple(dict.fromkeys(against)))
