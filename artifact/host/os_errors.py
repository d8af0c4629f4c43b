"""The operating system's error in words for people, without its number."""


def sentence_of(error: Exception) -> str:
    """The system's own words, with the file where there is one; of another error its text."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    path = error.filename2 or error.filename  # of a renaming, the new name
    return f"{error.strerror}: '{path}'" if path else error.strerror
