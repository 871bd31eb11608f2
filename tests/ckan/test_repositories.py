"""A repository is what the reader may see of its datasets."""

from __future__ import annotations

import pytest
from ckan import model
from ckan.plugins import toolkit as tk

from ckanext.mlops.core import naming
from ckanext.mlops.logic import repositories

URL = "https://example.org/o/titanic.git"
SLUG = naming.repository_slug(URL)


def seen_by(person, slug=SLUG):
    user = model.User.get(person.name) if person.name else None
    return repositories.show({"user": person.name, "auth_user_obj": user, "session": model.Session}, slug)


def test_one_address_for_every_way_to_write_it():
    assert naming.repository_slug("git@example.org:o/titanic.git") == SLUG
    assert SLUG.startswith("titanic-")
    assert naming.repository_slug("https://example.org/fork/titanic.git") != SLUG


def test_readers_see_their_datasets_of_it(make_dataset, people):
    make_dataset(name="train", dvc_repository=URL, dvc_stage="train")
    make_dataset(name="fetch", dvc_repository=URL, dvc_stage="fetch", private=True)
    make_dataset(name="other", dvc_repository="https://example.org/o/other.git")
    assert [each["name"] for each in seen_by(people.member).datasets] == ["fetch", "train"]
    found = seen_by(people.anonymous)
    assert [each["name"] for each in found.datasets] == ["train"]
    assert (found.name, found.url) == ("titanic", URL)


def test_what_a_reader_may_not_see_at_all_is_not_found(make_dataset, people):
    make_dataset(name="fetch", dvc_repository=URL, dvc_stage="fetch", private=True)
    with pytest.raises(tk.ObjectNotFound):
        seen_by(people.outsider)
    with pytest.raises(tk.ObjectNotFound):
        seen_by(people.sysadmin, "nothing-12345678")
