"""The bytes in a base64 text, in any of the forms that encoders write."""

import base64


def bytes_of(text: str) -> bytes:
    """The bytes; a data: URL's, too. Raises ValueError for what is no base64."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    # encoders wrap lines, leave the padding out, or use the alphabet of URLs
    text = "".join(text.split()).rstrip("=").replace("-", "+").replace("_", "/")
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
