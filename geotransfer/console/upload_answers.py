"""Uploads survive a page that is drawn anew while they begin: a gap in the framework, closed.

Before a browser sends a file it asks where to. Streamlit drops the answer if the script starts anew
before it was sent (``ForwardMsgQueue.clear`` keeps only what tells of the script's course), and the
browser then waits for ever, without a word. Pages here are drawn anew whenever a job ends.
"""

from __future__ import annotations

import functools

from streamlit.runtime.forward_msg_queue import ForwardMsgQueue


def keep_upload_answers() -> None:
    """Make message queues keep answers to uploads when a script starts anew; once is enough."""
    clear = ForwardMsgQueue.clear
    if hasattr(clear, "__wrapped__"):
        return

    @functools.wraps(clear)
    def clear_all_but_answers(
        queue: ForwardMsgQueue,
        retain_lifecycle_msgs: bool = False,
        fragment_ids_this_run: list[str] | None = None,
    ) -> None:
        before = queue._queue if retain_lifecycle_msgs else []
        clear(queue, retain_lifecycle_msgs, fragment_ids_this_run)
        for message in before:
            if message.HasField("file_urls_response") and message not in queue._queue:
                queue.enqueue(message)

    ForwardMsgQueue.clear = clear_all_but_answers  # type: ignore[method-assign, assignment]
