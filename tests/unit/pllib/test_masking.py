"""Secrets in command lines."""

from __future__ import annotations

import pytest

from pllib.masking import masked_arguments, masked_text

PLAIN = [
    ["train.py", "--lr", "0.1", "--epochs=3"],
    ["train.py", "--max-tokens", "100", "--tokenizer", "bpe", "--num_tokens=5"],
    ["train.py", "--", "-3", "https://example.org/a:b", "C:\\data", "key=value", "monkey=1", "passage=2"],
    ["train.py", "", "=", "--", "-", "--=", "a==b"],
    ["train.py", "--keyboard", "x", "--compass", "north", "--secretary", "ana"],
]


@pytest.mark.parametrize("arguments", PLAIN)
def test_what_is_no_secret_stays_as_it_is(arguments):
    assert masked_arguments(arguments) == arguments


SECRET = "S3cr3t-Value"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--token", SECRET],
        [f"--token={SECRET}"],
        ["--api-key", SECRET],
        ["--api_key", SECRET],
        ["--hfToken", SECRET],
        [f"password={SECRET}"],
        [f"PASSWORD={SECRET}"],
        [f"HF_TOKEN={SECRET}"],
        ["--db-password", SECRET],
        ["-password", SECRET],
        [f"db.password:{SECRET}"],
        [f"postgres://ana:{SECRET}@db.example.org/x"],
        [f"https://{SECRET}@example.org/x.git"],
        [f'{{"secret": "{SECRET}", "lr": 1}}'],
        [f"url=https://example.org/?access_token={SECRET}&x=1"],
        ["--header", f"Authorization: Bearer {SECRET}"],
        ["ghp_" + SECRET.replace("-", "0") * 3],
        ["--aws-secret-access-key", SECRET],
    ],
)
def test_secrets_are_masked_and_nothing_else(arguments):
    found = masked_arguments(["train.py", *arguments, "--lr", "0.1"])
    assert SECRET not in " ".join(found)
    assert "***" in " ".join(found)
    assert found[0] == "train.py"
    assert found[-2:] == ["--lr", "0.1"]
    assert len(found) == len(arguments) + 3


def test_names_and_the_rest_of_the_text_stay():
    assert masked_text("user=ana password=x host=db") == "user=ana password=*** host=db"
    assert masked_text("postgres://ana:x@db/y") == "postgres://***@db/y"


def test_an_option_after_a_flag_is_no_secret():
    assert masked_arguments(["--use-token", "--epochs", "3"]) == ["--use-token", "--epochs", "3"]


def test_long_text_takes_no_long_time():
    hostile = "token" * 20_000 + "=" + "a=" * 20_000
    assert masked_arguments([hostile])
