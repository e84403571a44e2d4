"""Reads a report as a browser would, and refuses what one would mend."""

import html.parser

_VOID = {"meta", "img", "br", "link", "input", "hr"}
_LOADED = {"src", "href", "xlink:href", "data", "poster", "action", "srcset"}


class Page(html.parser.HTMLParser):
    """A page.

    Attributes:
        text: What a reader sees, without tags.
        tags: Names of all elements.
        ids: All ids.
        addresses: Everything that the page would load or link to.
        handlers: Attributes with JavaScript.
    """

    def __init__(self, source):
        super().__init__()
        self.source = source
        self.text = ""
        self.tags = []
        self.ids = []
        self.addresses = []
        self.handlers = []
        self._open = []
        self.feed(source)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag, attrs):
        self._note(tag, attrs)
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self._note(tag, attrs)

    def handle_endtag(self, tag):
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data):
        if self._open and self._open[-1] != "style":
            self.text += data

    def _note(self, tag, attrs):
        self.tags.append(tag)
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, attrs)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in _LOADED:
                self.addresses.append(value)
            if name.startswith("on"):
                self.handlers.append((tag, name))
