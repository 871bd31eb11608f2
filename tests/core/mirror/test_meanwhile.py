"""What is done while Git is at work for a mirror."""

from __future__ import annotations

from ckanext.mlops.core.mirror import update_mirror


def test_once_while_the_source_is_asked_whether_something_moved_or_not(repository, mirrors, policy):
    done = []
    for _ in range(2):
        update_mirror(str(repository.path), mirrors, policy=policy, meanwhile=lambda: done.append(1))
    assert done == [1, 1]


def test_ahead_of_reading_what_moved_only_and_with_the_cache_of_the_mirror(repository, mirrors, policy):
    done = []

    def update():
        return update_mirror(str(repository.path), mirrors, policy=policy, ahead=done.append)

    update()  # a clone: nothing was remembered
    update()  # nothing moved
    assert done == []
    repository.git("tag", "v1")
    assert done == [update().cache]
