"""Server time of every page of the extension against the stock CKAN page of its kind, with many datasets.

    python benchmarks/pages.py [--small] [--datasets N]

Two CKANs on the same PostgreSQL and Solr, one with this extension (mlops, dvc_harvester, harvest, scheming, activity)
and one with CKAN's own ``activity`` only, each with the same 10,000 datasets (``pages_fill.py``): repositories of ten
stages, each with three files, 5 versions, 20 metrics, edges and a column profile. A page is asked for over HTTP, one
worker, turn by turn on both, each time another one of its kind (of other datasets, or further results), so that nothing
is remembered of it; a ratio is the median of those of the turns. Every page is asked for some times before the first
one is measured: a search index that was filled a moment ago still compiles, which the first pages would pay for.

The last line is one JSON object. ``worst_page`` is the largest ratio of a page to the stock page of its kind (goal: at
most 1.2), ``pages`` has all of them; ``metric_search_seconds`` is a search compared and sorted by a metric.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from lineage_http import serving

STAGES = 10
PLUGINS = "mlops dvc_harvester harvest scheming_datasets activity"
#: In an address: a repository, its page, and a page of results; another one each time.
ONE, SLUG, PAGE = "{one}", "{slug}", "{page}"
#: page → (its address, that of the stock page of its kind); both are asked for as the person who may see them
PAGES = {
    "home": ("/", "/"),
    "search": (f"/dataset/?page={PAGE}", f"/dataset/?page={PAGE}"),
    "search for words": (f"/dataset/?q=prepared&page={PAGE}", f"/dataset/?q=prepared&page={PAGE}"),
    "search by a metric": (
        f"/dataset/?q=accuracy_3:%3E0.5&page={PAGE}",
        f"/dataset/?q=lifeboats&page={PAGE}",  # not the words of before, whose pages Solr still has
    ),
    "organization": (f"/organization/lab?page={PAGE}", f"/organization/lab?page={PAGE}"),
    "data health": ("/organization/lab/health", "/organization/lab"),
    "dataset": (f"/dataset/{ONE}-s5", f"/dataset/{ONE}-s5"),
    "resource": (
        f"/dataset/{ONE}-s5/resource/{ONE}-0000-4000-8000-000000000051",
        f"/dataset/{ONE}-s5/resource/{ONE}-0000-4000-8000-000000000051",
    ),
    "similar datasets": (f"/dataset/{ONE}-s5/similar", f"/dataset/{ONE}-s5"),
    "versions": (f"/dataset/{ONE}-s5/versions", f"/dataset/{ONE}-s5"),
    "version": (f"/dataset/{ONE}-s5/versions/{ONE}-v5-1", f"/dataset/{ONE}-s5"),
    "versions compared": (
        f"/dataset/{ONE}-s5/versions/compare?before={ONE}-v5-0&after={ONE}-v5-1",
        f"/dataset/{ONE}-s5",
    ),
    "lineage": (f"/dataset/{ONE}-s5/lineage", f"/dataset/{ONE}-s5"),
    "impact": (f"/dataset/{ONE}-s5/lineage/impact", f"/dataset/{ONE}-s5"),
    "path": (f"/dataset/{ONE}-s5/lineage/path?end={ONE}-s8", f"/dataset/{ONE}-s5"),
    "experiments": (f"/dataset/{ONE}-s5/experiments", f"/dataset/{ONE}-s5"),
    "leaderboard": (f"/dataset/{ONE}-s5/leaderboard", f"/dataset/{ONE}-s5"),
    "access": (f"/dataset/{ONE}-s5/access", f"/dataset/{ONE}-s5"),
    "repository": (f"/repository/{SLUG}", "/organization/lab"),
    "metrics": (f"/repository/{SLUG}/metrics", "/organization/lab"),
    "plots": (f"/repository/{SLUG}/plots", "/organization/lab"),
    "MLflow experiments": ("/mlflow/experiments", "/organization/"),
    "models": ("/mlflow/models", "/organization/"),
    "saved searches": ("/dashboard/searches", "/dashboard/datasets"),
}


def fill(ini: Path, repositories: int, kind: str) -> str:
    """Put the datasets into a CKAN; a sysadmin's token."""
    script = Path(__file__).with_name("pages_fill.py")
    command = [sys.executable, "-W", "ignore", str(script), str(ini), str(repositories), kind]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-4000:])
    return done.stdout.rsplit("TOKEN ", 1)[1].strip()


def get(url: str, token: str) -> float:
    """Seconds until the whole page is there."""
    request = urllib.request.Request(url, headers={"Authorization": token} if token else {})  # noqa: S310 our own server
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
        answer.read()
        if "/user/login" in answer.url:
            raise SystemExit(f"{url} asks for a sign-in")
    return time.perf_counter() - began


def measure(folder: Path, datasets: int, rounds: int) -> dict[str, Any]:
    """Medians of all pages on both."""
    from ckanext.mlops.core import naming
    from embedded.services import backing_services

    with (
        backing_services(folder, cores=("with", "bare")) as backing,
        serving(folder, backing, "with", only=PLUGINS) as own,
        serving(folder, backing, "bare") as stock,
    ):
        began = time.monotonic()
        tokens = {kind: fill(folder / kind / "ckan.ini", datasets // STAGES, kind) for kind in ("with", "bare")}
        print(f"{datasets:,} datasets in each CKAN after {time.monotonic() - began:.0f} s", flush=True)
        servers = ((own, tokens["with"]), (stock, tokens["bare"]))

        def asked(page: str, numbers: range) -> list[tuple[float, float]]:
            """Seconds on both, for each number; who is asked first changes."""
            # Whom a page is for: everybody, or a person.
            signed = "dashboard" in PAGES[page][0] or "/access" in PAGES[page][0]
            found = []
            for number in numbers:
                one = f"a{number:06}a"
                slug = naming.repository_slug(f"https://example.org/lab/{one}.git")
                seconds = [0.0, 0.0]
                for side in (0, 1) if number % 2 else (1, 0):
                    place = PAGES[page][side].replace(ONE, one).replace(SLUG, slug).replace(PAGE, str(number + 1))
                    address, token = servers[side]
                    seconds[side] = get(address + place, token if signed else "")
                found.append((seconds[0], seconds[1]))
            return found

        for page in PAGES:
            asked(page, range(5))
        ratios: dict[str, float] = {}
        for page in PAGES:
            times = asked(page, range(5, 5 + rounds))
            ours, theirs = (statistics.median(each) for each in zip(*times, strict=True))
            ratios[page] = round(statistics.median(one / other for one, other in times), 2)
            print(f"{page:20} {ours * 1e3:6.0f} ms   stock {theirs * 1e3:6.0f} ms   {ratios[page]:.2f}", flush=True)
        searches = []
        for number in range(rounds):
            query = f"q=accuracy_{number % 20}:%3E0.5&rows=20&sort=mlops_number_accuracy_{number % 20}+desc"
            searches.append(get(f"{own}/api/3/action/package_search?{query}", ""))
        similar = [get(f"{own}/api/3/action/mlops_dataset_similar?id=a{each:06}a-s4", "") for each in range(rounds)]
        typed = [
            get(f"{own}/api/3/action/mlops_search_suggest?q={each}", "") for each in ("col", "acc", "3f2a", "a0000")
        ]
    worst = max(ratios, key=lambda page: ratios[page])
    return {
        "worst_page": ratios[worst],
        "worst_page_is": worst,
        "pages": ratios,
        "metric_search_seconds": round(max(searches), 3),
        "similar_seconds": round(statistics.median(similar), 3),
        "suggest_seconds": round(max(typed), 3),
        "datasets": datasets,
    }


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a quick look: 1,000 datasets, few rounds")
    parser.add_argument("--datasets", type=int, default=10_000)
    options = parser.parse_args()
    datasets = 1000 if options.small else options.datasets
    with tempfile.TemporaryDirectory(prefix="mlops-pages-") as folder:
        print(json.dumps(measure(Path(folder), datasets, 5 if options.small else 31)))


if __name__ == "__main__":
    main()
