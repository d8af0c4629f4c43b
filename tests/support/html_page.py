"""A page of ours, parsed: its text, and that every element is closed."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """Checks that every element is closed where it must be; keeps text and attributes."""

    VOID = {"meta", "br", "link"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []  # tags
        self.text = ""
        self.attributes: list[tuple[str, str | None]] = []
        self.tags: set[str] = set()
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
