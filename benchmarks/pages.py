"""Server time of every page of the extension against the stock CKAN page of its kind, with many datasets.

    python benchmarks/pages.py [--small] [--datasets N]

Two CKANs on the same PostgreSQL and Solr, one with this extension (mlops, dvc_harvester, harvest, scheming, activity)
and one with CKAN's own ``activity`` only, each with the same 10,000 datasets (``pages_fill.py``): repositories of ten
stages, each with three files, 5 versions, 20 metrics, edges and a column profile. A page is asked for over HTTP, one
worker, turn by turn on both; medians. Every page is asked for some times before the first one is measured: a search
index that was filled a moment ago still compiles, which the first pages would be charged with.

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
SLUG = "{slug}"
#: page → (its address, that of the stock page of its kind); both are asked for as the person who may see them
PAGES = {
    "home": ("/", "/"),
    "search": ("/dataset/", "/dataset/"),
    "search for words": ("/dataset/?q=prepared", "/dataset/?q=prepared"),
    "search by a metric": ("/dataset/?q=accuracy_3:%3E0.5", "/dataset/?q=prepared"),
    "organization": ("/organization/lab", "/organization/lab"),
    "data health": ("/organization/lab/health", "/organization/lab"),
    "dataset": ("/dataset/a000000a-s5", "/dataset/a000000a-s5"),
    "resource": (
        "/dataset/a000000a-s5/resource/a000000a-0000-4000-8000-000000000051",
        "/dataset/a000000a-s5/resource/a000000a-0000-4000-8000-000000000051",
    ),
    "similar datasets": ("/dataset/a000000a-s5/similar", "/dataset/a000000a-s5"),
    "versions": ("/dataset/a000000a-s5/versions", "/dataset/a000000a-s5"),
    "version": ("/dataset/a000000a-s5/versions/a000000a-v5-1", "/dataset/a000000a-s5"),
    "versions compared": (
        "/dataset/a000000a-s5/versions/compare?before=a000000a-v5-0&after=a000000a-v5-1",
        "/dataset/a000000a-s5",
    ),
    "lineage": ("/dataset/a000000a-s5/lineage", "/dataset/a000000a-s5"),
    "impact": ("/dataset/a000000a-s5/lineage/impact", "/dataset/a000000a-s5"),
    "path": ("/dataset/a000000a-s5/lineage/path?end=a000000a-s8", "/dataset/a000000a-s5"),
    "experiments": ("/dataset/a000000a-s5/experiments", "/dataset/a000000a-s5"),
    "leaderboard": ("/dataset/a000000a-s5/leaderboard", "/dataset/a000000a-s5"),
    "access": ("/dataset/a000000a-s5/access", "/dataset/a000000a-s5"),
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

    slug = naming.repository_slug("https://example.org/lab/a000000a.git")
    with (
        backing_services(folder, cores=("with", "bare")) as backing,
        serving(folder, backing, "with", only=PLUGINS) as own,
        serving(folder, backing, "bare") as stock,
    ):
        began = time.monotonic()
        tokens = {kind: fill(folder / kind / "ckan.ini", datasets // STAGES, kind) for kind in ("with", "bare")}
        print(f"{datasets:,} datasets in each CKAN after {time.monotonic() - began:.0f} s", flush=True)

        def asked(page: str, often: int) -> tuple[float, float]:
            path, kin = PAGES[page]
            # Whom a page is for: everybody, or a person.
            signed = "dashboard" in path or "/access" in path
            times: list[list[float]] = [[], []]
            for _ in range(often):
                for side, (address, kind) in enumerate(((own, "with"), (stock, "bare"))):
                    place = (path, kin)[side].replace(SLUG, slug)
                    times[side].append(get(address + place, tokens[kind] if signed else ""))
            return statistics.median(times[0]), statistics.median(times[1])

        for page in PAGES:
            asked(page, 5)
        pages: dict[str, tuple[float, float]] = {}
        for page in PAGES:
            ours, theirs = pages[page] = asked(page, rounds)
            print(f"{page:20} {ours * 1e3:6.0f} ms   stock {theirs * 1e3:6.0f} ms   {ours / theirs:.2f}", flush=True)
        searches = []
        for number in range(rounds):
            query = f"q=accuracy_{number % 20}:%3E0.5&rows=20&sort=mlops_number_accuracy_{number % 20}+desc"
            searches.append(get(f"{own}/api/3/action/package_search?{query}", ""))
        similar = [get(f"{own}/api/3/action/mlops_dataset_similar?id=a{each:06}a-s4", "") for each in range(rounds)]
        typed = [
            get(f"{own}/api/3/action/mlops_search_suggest?q={each}", "") for each in ("col", "acc", "3f2a", "a0000")
        ]
    ratios = {page: round(ours / theirs, 2) for page, (ours, theirs) in pages.items()}
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
