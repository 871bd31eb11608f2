"""What is said in English here, and told in the reader's language where it is shown.

Readers, plans and workers know no reader: what they say is stored, and answered by the API, in English. Messages and
remedies of errors and problems are found in the source by ``scripts/translations.py``, and so is every other text that
:func:`said` marks; ``ckanext.mlops.told`` takes a text apart again and says it in another language.
"""

from __future__ import annotations


def said(text: str) -> str:
    """The text. A plain one may have names between braces, to be filled in by ``format``."""
    return text
