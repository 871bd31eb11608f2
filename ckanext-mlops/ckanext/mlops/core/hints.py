"""Which outside sources a command names: Kaggle, addresses of files and buckets, other DVC repositories.

Text only: nothing is run or contacted, and nothing is proved, since a command says where data was asked for and not
what came. User info, queries and fragments of addresses are dropped, because signed addresses and keys stand in
commands. Templates must be resolved before: an address with a variable in it is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from .records import SourceHint

MAX_COMMAND = 20_000
"""Characters that are looked at; what comes after is not."""

MAX_HINTS = 50

_KAGGLE = "https://www.kaggle.com"
# Outside quotes a backslash keeps the next character; a quote without its end is a character like others.
_TOKEN = re.compile(
    r"""(?P<end>&&|\|\||[;|\n&()`])
      | (?P<word>(?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|[^\s;|&()`'"\\])+)
      | (?P<gap>.)""",
    re.DOTALL | re.VERBOSE,
)
_URL = re.compile(
    r"(?:https?|ftps?|s3|s3a|gs|gcs|az|abfss?|wasbs?|hdfs|webhdfs|ssh|sftp|git|oss|gdrive)://[^\s'\"`<>|;,)\]}\\]{1,2000}",
    re.IGNORECASE,
)
_KAGGLE_PAGE = re.compile(
    r"https?://(?:www\.)?kaggle\.com/(?P<kind>competitions|c|datasets|models|code)/(?P<ref>[\w.-]+(?:/[\w.-]+)?)",
    re.IGNORECASE,
)
_KAGGLEHUB = re.compile(
    r"kagglehub\.(?P<kind>dataset|competition|model)_download\(\s{0,20}['\"](?P<ref>[\w./-]{1,200})['\"]"
)
_REFERENCE = re.compile(r"[\w.-]{1,100}(?:/[\w.-]{1,100}){0,5}")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
_SCP = re.compile(r"(?:[\w.-]+@)?(?P<host>[\w-]+(?:\.[\w-]+)+):(?!//)(?P<path>[\w./~-]+)")

# Programs that only start another one, with the options of theirs that take a value.
_WRAPPERS = {"sudo": "-u", "env": "-u", "time": "-f", "nohup": "", "exec": "", "command": "", "nice": "-n"}
_RUNNERS = {"poetry", "pipenv", "uv", "pdm", "rye", "hatch", "conda", "mamba", "dotenv", "pixi"}
_SHELLS = {"sh", "bash", "zsh", "dash", "ksh"}
_FETCHERS = {"curl", "wget", "aria2c", "http", "https", "xh", "axel"}
_INTERPRETER = re.compile(r"python[0-9.]*|Rscript|node|julia|ruby|perl|sh|bash|zsh")
# A script whose name says that it fetches, when it is given an address: `python code/fetch_data.py https://…`.
_FETCHING_SCRIPT = re.compile(r"(?:^|[_.-])(?:fetch|download|get|pull|ingest|scrape|crawl)(?=$|[_.-])", re.IGNORECASE)
_UPLOADS = re.compile(
    r"-T|-d|-F|--upload-file|--data(?:-.*)?|--form|--post-(?:file|data)|--body-.*|POST|PUT|PATCH|DELETE"
)
# What these copy goes from all arguments but the last to the last.
_COPIERS = {
    *("aws", "s3cmd", "s5cmd", "mc", "gsutil", "gcloud", "azcopy", "az", "rclone", "hdfs", "hadoop"),
    *("scp", "rsync", "sftp"),
}
_COPY_VERBS = {"cp", "copy", "sync", "mv", "move", "get", "download", "rsync", "copyto", "mirror", "-get", "-cp"}
_GIT_VERBS = {"clone", "fetch", "pull", "submodule", "archive", "ls-remote"}
# Options of fetchers and copiers whose value is an address, but of no data.
_SIDE_OPTIONS = {"-x", "--proxy", "-e", "--referer", "-H", "--header", "-A", "--user-agent", "--preproxy", "--doh-url"}
_VALUE_OPTIONS = _SIDE_OPTIONS | {
    "--endpoint-url",
    "--profile",
    "--region",
    "-i",
    "-P",
    "-F",
    "-o",
    "--include",
    "--exclude",
}
_KAGGLE_KINDS = {
    **dict.fromkeys(("competitions", "c"), "competition"),
    **dict.fromkeys(("datasets", "d"), "dataset"),
    **dict.fromkeys(("models", "m"), "model"),
    **dict.fromkeys(("kernels", "k"), "kernel"),
}
_KAGGLE_PATHS = {"competition": "competitions", "dataset": "datasets", "model": "models", "kernel": "code"}
_KAGGLE_REF_OPTIONS = {"-c", "--competition", "-d", "--dataset", "-m", "--model", "-k", "--kernel"}
_KAGGLE_VALUE_OPTIONS = {"-f", "--file", "--file-name", "-p", "--path", "-v", "--version-number"}
_DVC_VALUE_OPTIONS = {
    *("-o", "--out", "--rev", "-j", "--jobs", "--config", "--remote", "--remote-config", "--file", "--desc"),
    *("--fs-config", "--type", "--label", "--meta"),
}


def source_hints(command: str) -> tuple[SourceHint, ...]:
    """The outside sources that ``command`` names, each once, in their order; at most :data:`MAX_HINTS`.

    Kinds are ``kaggle``, ``dvc``, ``git`` and ``url``. The time is linear in the length of the text.

    >>> source_hints("kaggle competitions download -c titanic")[0].uri
    'https://www.kaggle.com/competitions/titanic'
    """
    found: dict[str, SourceHint] = {}
    text = command[:MAX_COMMAND].replace("\\\n", " ")
    for hint in _found(text):
        found.setdefault(hint.uri, hint)
        if len(found) == MAX_HINTS:
            break
    return tuple(found.values())


def _found(text: str) -> Iterator[SourceHint]:
    for words in _commands(text):
        yield from _of_program(words)
    for match in _KAGGLEHUB.finditer(text):
        yield from _kaggle(match["kind"], match["ref"])
    for match in _KAGGLE_PAGE.finditer(text):
        kind = _KAGGLE_KINDS.get(match["kind"].lower(), "kernel" if match["kind"].lower() == "code" else "")
        yield from _kaggle(kind, match["ref"])


def _commands(text: str) -> Iterator[list[str]]:
    """The words of each simple command; quoting as in a shell, without ever failing."""
    words: list[str] = []
    for match in _TOKEN.finditer(text):
        if match["end"]:
            if words:
                yield words
            words = []
        elif match["word"]:
            words.append(re.sub(r"\\(.)|['\"]", r"\1", match["word"], flags=re.DOTALL))
    if words:
        yield words


def _of_program(words: list[str]) -> Iterator[SourceHint]:
    start = _program_at(words)
    if start >= len(words):
        return
    program, rest = words[start].rsplit("/", 1)[-1].removesuffix(".exe"), words[start + 1 :]
    if program == "kaggle" and len(rest) > 1 and rest[0] in _KAGGLE_KINDS and "download" in rest:
        after = rest[rest.index("download") + 1 :]
        reference = _reference(after)
        if reference:
            yield from _kaggle(_KAGGLE_KINDS[rest[0]], reference)
    elif program == "dvc" and len(rest) > 1 and rest[0] in ("get", "import", "get-url", "import-url"):
        yield from _of_dvc(rest[0], rest[1:])
    elif program in _SHELLS and "-c" in rest[:-1]:
        inner = rest[rest.index("-c") + 1]
        # Quotes were taken off once: the inner text is shorter, so this ends.
        for command in _commands(inner):
            yield from _of_program(command)
    elif program in _FETCHERS:
        if not any(_UPLOADS.fullmatch(word) for word in rest):
            yield from _addresses(_without_values(rest, _SIDE_OPTIONS), "url")
    elif program in _COPIERS:
        arguments = [word for word in _without_values(rest, _VALUE_OPTIONS) if not word.startswith("-")]
        verb = next((at for at, word in enumerate(arguments) if word in _COPY_VERBS), -1)
        operands = arguments[verb + 1 :]
        yield from _addresses(operands[:-1] if len(operands) > 1 else operands, "url")
    elif program in ("git", "gh") and not _GIT_VERBS.isdisjoint(rest):
        yield from _addresses(rest, "git")
    else:
        script = rest[0].rsplit("/", 1)[-1] if rest and _INTERPRETER.fullmatch(program) else program
        if _FETCHING_SCRIPT.search(script):
            yield from _addresses(_operands(rest), "url")


def _operands(words: list[str]) -> list[str]:
    """The words that are neither options nor possibly values of them."""
    return [
        word
        for before, word in zip(["", *words], words, strict=False)
        if not word.startswith("-") and ("=" in before or not before.startswith("-"))
    ]


def _without_values(words: list[str], options: set[str]) -> list[str]:
    """The words without those options and their values."""
    kept, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word in options:
            skip = True
        elif word.partition("=")[0] not in options:
            kept.append(word)
    return kept


def _addresses(words: list[str], kind: str) -> Iterator[SourceHint]:
    for word in words:
        for match in _URL.finditer(word):
            yield from _address(match[0], kind)
        scp = _SCP.fullmatch(word) if len(word) < 2000 else None
        if scp:
            yield from _address(f"ssh://{scp['host']}/{scp['path'].lstrip('/')}", kind)


def _program_at(words: list[str]) -> int:
    """Where the program is, after assignments and programs that start others."""
    at = 0
    while at < len(words):
        name = words[at].rsplit("/", 1)[-1]
        if _ASSIGNMENT.fullmatch(words[at]):
            at += 1
        elif name in _WRAPPERS:
            option = _WRAPPERS[name]
            at += 1
            while at < len(words) and words[at].startswith("-"):
                at += 2 if words[at] == option else 1
        elif name in _RUNNERS and "run" in words[at + 1 : at + 3]:
            at = words.index("run", at) + 1
            while at < len(words) and words[at].startswith("-"):
                at += 2 if words[at] in ("-n", "--name", "-f", "-p", "--with", "--extra", "--group") else 1
        elif re.fullmatch(r"python[0-9.]*", name) and words[at + 1 : at + 2] == ["-m"]:
            at += 2
        else:
            return at
    return at


def _reference(arguments: list[str]) -> str:
    """What ``kaggle ... download`` is asked for."""
    positional, at = "", 0
    while at < len(arguments):
        option, equals, value = arguments[at].partition("=")
        following = arguments[at + 1] if at + 1 < len(arguments) else ""
        if option in _KAGGLE_REF_OPTIONS:
            return value if equals else following
        if option in _KAGGLE_VALUE_OPTIONS:
            at += 1 if equals else 2
            continue
        if not option.startswith("-"):
            positional = positional or arguments[at]
        at += 1
    return positional


def _kaggle(kind: str, reference: str) -> Iterator[SourceHint]:
    """Kaggle's page of a competition, dataset, model or notebook; a version in the reference is left out of it."""
    reference = reference.strip("/")
    if kind not in _KAGGLE_PATHS or not _REFERENCE.fullmatch(reference):
        return
    parts = reference.split("/")
    length = {"competition": 1, "dataset": 2, "model": 4, "kernel": 2}[kind]
    if kind != "competition" and len(parts) < 2:
        return
    name = "/".join(parts[:length])
    yield SourceHint("kaggle", f"{_KAGGLE}/{_KAGGLE_PATHS[kind]}/{name}", f"Kaggle {kind} {name}")


def _of_dvc(verb: str, arguments: list[str]) -> Iterator[SourceHint]:
    positional, at = [], 0
    while at < len(arguments):
        if arguments[at] in _DVC_VALUE_OPTIONS:
            at += 1
        elif not arguments[at].startswith("-"):
            positional.append(arguments[at])
        at += 1
    if not positional:
        return
    if verb.endswith("-url"):
        yield from _address(positional[0], "url")
        return
    scp = _SCP.fullmatch(positional[0])
    url = f"ssh://{scp['host']}/{scp['path'].lstrip('/')}" if scp else positional[0]
    for hint in _address(url, "dvc"):
        path = positional[1].strip("/") if len(positional) > 1 else ""
        label = f"{path} of {hint.label}" if path else hint.label
        yield SourceHint("dvc", f"{hint.uri}#{path}" if path else hint.uri, label[:500])


def _address(text: str, kind: str) -> Iterator[SourceHint]:
    """A hint for an absolute address, without user info, query and fragment."""
    try:
        parts = urlsplit(text.rstrip(".,:"))
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return
    if not parts.scheme or not host or "$" in text or "{" in text or _KAGGLE_PAGE.match(text):
        return
    # Host names are case-insensitive; names of buckets are given back as written.
    place = parts.netloc.rpartition("@")[2] if parts.scheme.lower() not in ("http", "https") else host
    if place == host and port:
        place = f"{host}:{port}"
    path = parts.path.rstrip("/")
    if kind == "git" or path.endswith(".git"):
        kind, path = ("git" if kind == "url" else kind), path.removesuffix(".git")
    name = unquote(f"{place}{path}")
    label = "".join(char for char in name if char.isprintable())[:500]
    yield SourceHint(kind, f"{parts.scheme.lower()}://{place}{path}"[:2000], label)
