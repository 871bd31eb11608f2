"""Both ways to add a dataset are offered where CKAN offers its own."""


def test_search_and_organization_offer_both_ways(page, people):
    for url in ("/dataset/", f"/organization/{people.organization['name']}"):
        body = page(url, people.editor).body
        assert 'href="/dataset/new' in body, url
        assert "/dataset/new/dvc" in body, url
        assert "/dataset/new" not in page(url, people.member).body
