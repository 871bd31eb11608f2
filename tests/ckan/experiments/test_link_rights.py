"""Who may see, make and remove links: the dataset's own rules."""

from __future__ import annotations

import pytest

EDITORS = {"editor", "admin", "sysadmin"}
READERS_OF_PRIVATE = EDITORS | {"member"}
ROLES = ("anonymous", "outsider", "member", "editor", "admin", "sysadmin")


@pytest.mark.parametrize("private", [False, True], ids=["public", "private"])
@pytest.mark.parametrize("role", ROLES)
def test_every_role_on_links(api, people, make_dataset, tracking, refused, role, private):
    make_dataset(name="titanic", private=private)
    run = tracking.run(tracking.experiment())
    person = getattr(people, role)
    made = api("mlops_link_create", people.editor, id="titanic", server="lab", target=run)

    def allowed(action, **data):
        try:
            api(action, person, **data)
        except refused as error:
            if error.status != 403:
                raise
            return False
        return True

    may_read = not private or role in READERS_OF_PRIVATE
    assert allowed("mlops_link_list", id="titanic") is may_read
    assert allowed("mlops_run_list", id="titanic") is may_read
    may_edit = role in EDITORS
    assert allowed("mlops_link_create", id="titanic", server="lab", target=run, relation="produced") is may_edit
    assert allowed("mlops_link_delete", id=made["id"]) is may_edit
    assert api("mlops_link_list", people.sysadmin, id="titanic")["count"] == 1


@pytest.mark.parametrize("role", ROLES)
def test_every_role_on_servers_and_sync(api, people, tracking, refused, role):
    person = getattr(people, role)
    if role == "anonymous":
        with pytest.raises(refused):
            api("mlops_server_list", person)
    else:
        assert [server["name"] for server in api("mlops_server_list", person)] == ["lab"]
    if role == "sysadmin":
        assert api("mlops_mlflow_sync", person)["ok"] is True
    else:
        with pytest.raises(refused) as caught:
            api("mlops_mlflow_sync", person)
        assert caught.value.status == 403
