"""What AWS takes for tags, and for places in S3: found before a request is refused.

Source: AWS's general reference, "Tag naming limits and requirements": letters, digits, blanks and
_ . : / = + - @.
"""

import unicodedata
from collections.abc import Mapping

from recipes.errors import RecipeError

KEY_LIMIT = 128  # characters
VALUE_LIMIT = 256
MOST_TAGS = 48  # of 50: the launcher adds the recipe's name and its own token
SIGNS = "_.:/=+-@"
OURS = "slipway:"
S3 = "s3://"


def check_tag_text(what: str, text: str, limit: int) -> None:
    """RecipeError for a text that no tag can have. what: names it in the sentence."""
    if len(text) > limit:
        raise RecipeError(f"{what} has {len(text)} characters; AWS's tags take {limit}")
    for letter in text:
        # Letters, separators and numbers of any script.
        if letter not in SIGNS and unicodedata.category(letter)[0] not in "LZN":
            raise RecipeError(
                f"{what} has {letter!r}; AWS's tags take letters, digits, blanks and {SIGNS}"
            )


def check_tags(tags: Mapping[str, str]) -> None:
    """RecipeError for `sagemaker.tags` that AWS would refuse, or that would hide our own."""
    if len(tags) > MOST_TAGS:
        raise RecipeError(f"sagemaker.tags has {len(tags)} tags; AWS takes {MOST_TAGS} of them")
    for key, value in tags.items():
        check_tag_text(f"sagemaker.tags: the key '{key}'", key, KEY_LIMIT)
        check_tag_text(f"sagemaker.tags: the value of '{key}'", str(value), VALUE_LIMIT)
        if not key or key.lower().startswith("aws:"):
            raise RecipeError(f"sagemaker.tags: the key '{key}' is AWS's own; take another")
        if key.lower().startswith(OURS):
            raise RecipeError(
                f"sagemaker.tags: the key '{key}' is slipway's own, by which it finds what a "
                "recipe made; take another"
            )


def check_places(bucket: str, prefix: str, channels: Mapping[str, str]) -> None:
    """RecipeError for a bucket, a prefix or a channel that is written as another thing."""
    if "/" in bucket:
        raise RecipeError(
            f"sagemaker.bucket is '{bucket}'; it is a bucket's name alone, and "
            "sagemaker.prefix is the place in it"
        )
    if "://" in prefix:
        raise RecipeError(
            f"sagemaker.prefix is '{prefix}'; it is a place in sagemaker.bucket, without s3://"
        )
    parts = prefix.strip("/").split("/") if prefix.strip("/") else []
    if {"", ".", ".."}.intersection(parts):
        raise RecipeError(
            f"sagemaker.prefix is '{prefix}'; S3 takes each '.', '..' and empty part as it is, "
            "so leave them out"
        )
    for name, where in channels.items():
        is_s3 = where.startswith(S3)
        if is_s3 and not where.removeprefix(S3).partition("/")[0]:
            raise RecipeError(f"sagemaker.channels.{name} is '{where}', which names no bucket")
        if "://" in where and not is_s3:
            raise RecipeError(
                f"sagemaker.channels.{name} is '{where}'; a channel is a folder or an s3:// prefix"
            )
