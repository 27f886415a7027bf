"""A client that speaks Streamlit's websocket protocol: many sessions for the price of one process.

It does what a browser does with a page (connects, names the page, takes the messages until the
script has ended, changes widgets by the ids the server sent, uploads a file), and counts as an
error whatever a person would see as one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Delta_pb2 import Delta
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import ClientConnection, connect

MAX_MESSAGE_BYTES = 200 * 2**20
MAX_RUNS = 8
"""A script may ask to be run again a few times; more than this is an endless loop."""


class ProtocolError(Exception):
    """The server did what a person would see as an error."""


@dataclass
class ProtocolClient:
    """One session of the console."""

    connection: ClientConnection
    http: httpx.Client
    """Carries the session's cookies, as a browser's tab does."""
    timeout_s: float = 120.0
    session_id: str = ""
    page_hash: str = ""
    page_name: str = ""
    query: str = ""
    elements: list[Element] = field(default_factory=list)
    """What the last run of the script put on the page."""
    states: dict[str, WidgetState] = field(default_factory=dict)
    counter: Iterator[int] = field(default_factory=itertools.count)

    def open_page(self, name: str, query: str = "") -> None:
        """Go to a page by its path, as a link would."""
        self.page_name, self.page_hash, self.query = name, "", query
        self.states.clear()
        self._run()

    def choose(self, label: str, option: str) -> None:
        """Choose one of the options of a group of buttons."""
        group = next(
            e.button_group
            for e in self.elements
            if e.HasField("button_group") and e.button_group.label == label
        )
        state = WidgetState(id=group.id)
        index = next(i for i, o in enumerate(group.options) if option in o.content)
        values = group.raw_values or [o.content for o in group.options]
        state.string_array_value.data.append(values[index])
        self.states[group.id] = state
        self._run()

    def upload(self, name: str, data: bytes) -> None:
        """Give a file to the page's first uploader."""
        uploader = next(e.file_uploader for e in self.elements if e.HasField("file_uploader"))
        request = BackMsg()
        request.file_urls_request.request_id = f"upload-{next(self.counter)}"
        request.file_urls_request.file_names.append(name)
        request.file_urls_request.session_id = self.session_id
        self.connection.send(request.SerializeToString())
        while True:
            message = self._receive()
            if message.HasField("file_urls_response"):
                break
        urls = message.file_urls_response.file_urls[0]
        token = self.http.cookies["_streamlit_xsrf"]
        answer = self.http.put(
            urls.upload_url, files={"file": (name, data)}, headers={"X-Xsrftoken": token}
        )
        answer.raise_for_status()
        state = WidgetState(id=uploader.id)
        info = state.file_uploader_state_value.uploaded_file_info.add()
        info.name, info.size, info.file_id = name, len(data), urls.file_id
        info.file_urls.CopyFrom(urls)
        self.states[uploader.id] = state
        self._run()

    def read_text(self) -> str:
        """Return the words on the page."""
        kinds = ("markdown", "alert", "heading", "html", "text")
        return "\n".join(
            str(getattr(getattr(element, kind), "body", ""))
            for element in self.elements
            for kind in kinds
            if element.HasField(kind)
        )

    def _run(self) -> None:
        message = BackMsg()
        client = message.rerun_script
        client.query_string, client.page_name = self.query, self.page_name
        client.page_script_hash = self.page_hash
        client.widget_states.widgets.extend(self.states.values())
        self.connection.send(message.SerializeToString())
        self._take_run()

    def _take_run(self) -> None:
        self.elements = []
        for _ in range(MAX_RUNS):
            while not (received := self._receive()).HasField("script_finished"):
                self._note(received)
            if received.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                return
            if received.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
                raise ProtocolError(f"{self.page_name}: the script does not compile")
            self.elements = []
        raise ProtocolError(f"{self.page_name}: the script ran {MAX_RUNS} times without an end")

    def _note(self, message: ForwardMsg) -> None:
        if message.HasField("new_session"):
            self.session_id = message.new_session.initialize.session_id
        elif message.HasField("navigation"):
            self.page_hash = message.navigation.page_script_hash
        elif message.HasField("page_not_found"):
            raise ProtocolError(f"{self.page_name}: no such page")
        elif message.HasField("delta"):
            self._note_delta(message.delta)

    def _note_delta(self, delta: Delta) -> None:
        if not delta.HasField("new_element"):
            return
        element = delta.new_element
        if element.HasField("exception") and not element.exception.is_warning:
            raise ProtocolError(f"{self.page_name}: {element.exception.type}")
        self.elements.append(element)

    def _receive(self) -> ForwardMsg:
        message = ForwardMsg()
        message.ParseFromString(self.connection.recv(timeout=self.timeout_s, decode=False))
        return message


@contextmanager
def open_client(url: str) -> Iterator[ProtocolClient]:
    """Open a session; it is closed at the end, as a tab is."""
    address = url.replace("http://", "ws://") + "/_stcore/stream"
    with (
        httpx.Client(base_url=url, timeout=120.0) as http,
        connect(address, subprotocols=["streamlit"], max_size=MAX_MESSAGE_BYTES) as connection,
    ):
        http.get("/_stcore/health").raise_for_status()
        yield ProtocolClient(connection=connection, http=http)
