"""git-lfs pointers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckanext.mlops.core.lfs import MAX_POINTER, Pointer, parse_pointer

OID = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize 12345\n"


def test_the_specifications_example_is_read():
    assert parse_pointer(POINTER.encode()) == Pointer(OID, 12345)


@pytest.mark.parametrize(
    "text",
    [
        POINTER.removesuffix("\n"),
        POINTER.replace("\n", "\r\n"),
        POINTER.replace("https://git-lfs.github.com/spec/v1", "https://hawser.github.com/spec/v1"),
        POINTER.replace("https://git-lfs.github.com/spec/v1", "http://git-media.io/v/2"),
        POINTER.replace("size 12345", "size 12345\nx-note kept"),
    ],
)
def test_older_and_slightly_different_pointers_are_read(text):
    assert parse_pointer(text.encode()) == Pointer(OID, 12345)


def test_extensions_are_named_in_order():
    extended = POINTER.replace("oid", f"ext-0-foo sha256:{OID}\next-1-bar sha256:{OID}\noid")
    assert parse_pointer(extended.encode()) == Pointer(OID, 12345, ("foo", "bar"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "version 1\nstages: {}\n",
        POINTER.replace("sha256", "md5"),
        POINTER.replace(OID, OID[:-1]),
        POINTER.replace(OID, OID.upper()),
        POINTER.replace("12345", "-1"),
        POINTER.replace("12345", "1e3"),
        POINTER.replace("12345", "9" * 30),
        POINTER.replace("spec/v1", "spec/v2"),
        POINTER.replace("oid ", "oid  "),
        POINTER + "size 1\n",
        POINTER + "\n",
        f"version https://git-lfs.github.com/spec/v1\nsize 12345\noid sha256:{OID}\n",
        f"oid sha256:{OID}\nsize 12345\nversion https://git-lfs.github.com/spec/v1\n",
        "version https://git-lfs.github.com/spec/v1\n",
        POINTER + "x " + "y" * MAX_POINTER,
    ],
)
def test_what_is_no_pointer_is_none(text):
    assert parse_pointer(text.encode()) is None


@given(st.binary(max_size=200))
def test_no_bytes_raise(data):
    parse_pointer(data)
    parse_pointer(b"version " + data)
    parse_pointer(POINTER.encode() + data)
