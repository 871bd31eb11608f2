"""A value that is none of a choice, or no list, is refused in words."""

from __future__ import annotations

from typing import Any

import pytest

CASES = [
    ("mlops_run_list", {"order": "upwards"}),
    ("mlops_run_list", {"goal": "best"}),
    ("mlops_repository_metrics", {"order": "upwards"}),
    ("mlops_compare", {"things": True}),
    ("mlops_plot_show", {"plot": "x", "revisions": True}),
    ("mlops_version_list", {"limit": float("inf")}),
]


@pytest.mark.parametrize(("action", "values"), CASES)
def test_it_is_refused(action: str, values: dict[str, Any], make_dataset: Any, api: Any, refused: Any) -> None:
    make_dataset(name="titanic")
    with pytest.raises(refused) as caught:
        api(action, id="titanic", **values)
    assert caught.value.status == 409
    assert set(caught.value.error) & set(values)
