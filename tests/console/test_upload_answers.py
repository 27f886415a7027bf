"""Answers to uploads survive a script that starts anew."""

from __future__ import annotations

from inspect import unwrap

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue

from geotransfer.console.upload_answers import keep_upload_answers


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    # Put back afterwards: other tests see the framework as it is.
    monkeypatch.setattr(ForwardMsgQueue, "clear", ForwardMsgQueue.clear)
    keep_upload_answers()
    keep_upload_answers()


def make_answer() -> ForwardMsg:
    message = ForwardMsg()
    message.file_urls_response.response_id = "asked"
    return message


def make_delta() -> ForwardMsg:
    message = ForwardMsg()
    message.delta.new_element.text.body = "of a run that was broken off"
    message.metadata.delta_path[:] = [0, 0]
    return message


def test_the_framework_still_drops_answers() -> None:
    """Once this fails, the module is no longer needed."""
    queue = ForwardMsgQueue()
    queue.enqueue(make_answer())
    unwrap(ForwardMsgQueue.clear)(queue, retain_lifecycle_msgs=True)
    assert queue.is_empty()


@pytest.mark.parametrize("fragments", [None, ["other"]])
def test_an_answer_survives_a_script_that_starts_anew(
    kept: None, fragments: list[str] | None
) -> None:
    queue = ForwardMsgQueue()
    queue.enqueue(make_delta())
    queue.enqueue(make_answer())
    queue.clear(retain_lifecycle_msgs=True, fragment_ids_this_run=fragments)
    answers = [m for m in queue.flush() if m.HasField("file_urls_response")]
    assert [m.file_urls_response.response_id for m in answers] == ["asked"]


def test_a_flush_leaves_nothing(kept: None) -> None:
    queue = ForwardMsgQueue()
    queue.enqueue(make_answer())
    assert len(queue.flush()) == 1
    assert queue.is_empty()
