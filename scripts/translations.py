#!/usr/bin/env python3
"""Keep the translations in step with the texts: `.venv/bin/python scripts/translations.py [--check] [--add LANGUAGE]`.

Reads every text that Python, the templates and the dataset form give to gettext, and those that are made without it
and told in the reader's language later (`core/said.py`; their context is "said"), and brings each
`i18n/LANGUAGE/LC_MESSAGES/ckanext-mlops.po` up to date: new texts are added empty, texts that are gone are dropped, and
the `.mo` files beside it are compiled anew. What is not translated is printed. `--check` writes nothing and fails where
a language is behind. Needs babel, which CKAN brings.
"""

from __future__ import annotations

import argparse
import ast
import datetime
import io
import re
import string
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

SOURCE = Path(__file__).resolve().parent.parent / "ckanext-mlops/ckanext/mlops"
DOMAIN = "ckanext-mlops"
METHODS = [("**.py", "python"), ("templates/**.html", "ckan")]
# The files say nothing of when they were made: the same texts give the same bytes.
WHEN = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
SAID = "said"
# Errors and all that derive from them, and what else is called with a text: see core/said.py.
SPEAKING = ("MlopsError", "ConfigError", "Problem", "progress", "_refuse", "said")
# What only programs and terminals are told.
NOT_ON_PAGES = ("client/*", "tool/*", "training/*", "core/received.py", "core/*webhook.py", "harvesting/foreground.py")
FORM_TEXTS = ("label", "repeating_label", "help_text", "form_placeholder")


def form_texts(found: Any) -> Iterator[str]:
    """What ckanext-scheming shows of a schema: https://github.com/ckan/ckanext-scheming#field-keys."""
    if isinstance(found, dict):
        for key, value in found.items():
            if key not in FORM_TEXTS:
                yield from form_texts(value)
            # A placeholder of one word is an example of a value: a hash, an address.
            elif isinstance(value, str) and (key != "form_placeholder" or " " in value):
                yield value
    elif isinstance(found, list):
        for value in found:
            yield from form_texts(value)


def texts() -> Catalog:
    """Every text that is shown, without translations."""
    found = Catalog(domain=DOMAIN, project=DOMAIN, fuzzy=False)
    for _, _, text, _, _ in sorted(extract_from_dir(SOURCE, METHODS), key=lambda one: (one[0], one[1])):
        found.add(text)
    for schema in sorted((SOURCE / "schemas").glob("*.yaml")):
        for text in form_texts(yaml.safe_load(schema.read_text(encoding="utf-8"))):
            found.add(text)
    for text in said_texts():
        found.add(text, context=SAID)
    return found


def said_texts() -> Iterator[str]:
    """What is said without gettext, as templates: ``more than {lines} lines`` of an f-string."""
    paths = sorted(set(SOURCE.rglob("*.py")).difference(*map(SOURCE.glob, NOT_ON_PAGES)))
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in paths]
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    speaking = {*SPEAKING}
    while (
        more := {each.name for each in classes if any(ast.unparse(base) in speaking for base in each.bases)} - speaking
    ):
        speaking |= more
    for call in (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func).rpartition(".")[2]
        if name in speaking:
            for text in (*call.args, *(each.value for each in call.keywords if each.arg == "remedy")):
                found = as_template(text, filled=name != "said")
                words = re.findall(r"[A-Za-z]{4,}", re.sub(r"{.*?}", "", found))
                if found and (name == "said" or (words and " " in found)):  # values alone would fit everything
                    yield found


def as_template(text: ast.expr, *, filled: bool) -> str:
    """A text in the source with names for its values, or nothing.

    :param filled: braces in it are meant as such
    """
    if isinstance(text, ast.Subscript):  # [:300]
        return as_template(text.value, filled=filled)
    if isinstance(text, ast.Constant) and isinstance(text.value, str):
        return text.value.replace("{", "{{").replace("}", "}}") if filled else text.value
    if not isinstance(text, ast.JoinedStr):
        return ""
    found, names = "", Counter[str]()
    for part in text.values:
        if isinstance(part, ast.FormattedValue):
            called = {each.func for each in ast.walk(part.value) if isinstance(each, ast.Call)}
            values = [each for each in ast.walk(part.value) if each not in called]
            attributes = [each.attr for each in values if isinstance(each, ast.Attribute)]
            plain = [each.id for each in values if isinstance(each, ast.Name)]
            name = (attributes or plain[::-1])[0].strip("_").lower()
            names[name] += 1
            found += f"{{{name}{names[name] if names[name] > 1 else ''}}}"
        else:
            found += as_template(part, filled=True)
    return found


def fields(text: str) -> set[str]:
    """Names between braces, which the code fills in."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def fault(message: Message) -> str:
    """What is wrong with a translation, or nothing."""
    given = [message.id] if isinstance(message.id, str) else list(message.id)
    written = [message.string] if isinstance(message.string, str) else list(message.string or [""])
    if not all(written):
        return "is not translated"
    if message.fuzzy:
        return "is marked as fuzzy"
    try:
        # A singular may say the number in words.
        if fields(written[-1]) != fields(given[-1]) or not fields(written[0]) <= fields(given[-1]):
            return f"has other names between braces: {written[-1]}"
    except ValueError as error:
        return f"cannot be filled in: {error}"
    return ""


def renewed(po: Path, template: Catalog) -> tuple[dict[Path, bytes], list[str]]:
    """A language brought up to date.

    :returns: content of its .po and of the two .mo that are made of it, for gettext and for ``ckanext.mlops.told``; and
        a line for each text that wants a translator
    """
    language = po.parent.parent.name
    old = read_po(io.BytesIO(po.read_bytes()), locale=language) if po.exists() else Catalog(locale=language)
    new, shown, told = (
        Catalog(locale=language, domain=DOMAIN, project=DOMAIN, fuzzy=False, creation_date=WHEN, revision_date=WHEN)
        for _ in range(3)
    )
    problems = []
    for message in template:
        if message.id:
            known = old.get(message.id if isinstance(message.id, str) else message.id[0], context=message.context)
            same = known is not None and known.pluralizable == message.pluralizable
            flags = known.flags if known and same else ()
            added = new.add(message.id, known.string if known and same else None, flags=flags, context=message.context)
            (told if message.context == SAID else shown).add(message.id, added.string, flags=flags)
            if wrong := fault(added):
                problems.append(f"{language}: {message.id!r} {wrong}")
    text = io.BytesIO()
    write_po(text, new, width=120, omit_header=True, sort_output=True)
    header = (
        f'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n"Plural-Forms: {new.plural_forms}\\n"\n\n'
    )
    files = {po: header.encode() + text.getvalue()}
    for path, catalog in ((po.with_suffix(".mo"), shown), (po.with_name(f"{SAID}.mo"), told)):
        compiled = io.BytesIO()
        write_mo(compiled, catalog)
        files[path] = compiled.getvalue()
    return files, problems


def main(arguments: list[str] | None = None) -> int:
    """Bring all languages up to date, or say what is behind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where something is behind")
    parser.add_argument("--add", metavar="LANGUAGE", help="begin another language, named as CKAN names it: fr, pt_BR")
    parser.add_argument("--folder", type=Path, default=SOURCE / "i18n", help="where the languages are")
    options = parser.parse_args(arguments)
    template, problems = texts(), []
    languages = sorted(path.name for path in options.folder.glob("*") if path.is_dir())
    for language in sorted({*languages, *([options.add] if options.add else [])}):
        po = options.folder / language / "LC_MESSAGES" / f"{DOMAIN}.po"
        files, wanting = renewed(po, template)
        problems += wanting
        for path, content in files.items():
            if path.exists() and path.read_bytes() == content:
                continue
            if options.check:
                problems.append(f"{language}: {path.name} is behind the texts; run scripts/translations.py")
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
    print("\n".join(problems) or "All languages are complete.")
    return 1 if options.check and problems else 0


if __name__ == "__main__":
    sys.exit(main())
