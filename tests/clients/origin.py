"""httpbin as it comes from PyPI, behind waitress, on a free port of loopback.

Says "ready PORT" once it listens, and ends when its standard input does. `/-/seen`, asked directly, tells what it was asked.
"""

import json
import os
import sys
import threading

from httpbin import app
from waitress.server import create_server

seen = []


def noted(environ, start_response):
    """httpbin, and a note of each request and its status."""
    if environ["PATH_INFO"] == "/-/seen":
        told = json.dumps(seen).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(told)))])
        return [told]
    # What the gateway says of itself, as waitress does with Forwarded: httpbin would echo it.
    environ.pop("HTTP_SURROGATE_CAPABILITY", None)
    note = {"method": environ["REQUEST_METHOD"], "path": environ["PATH_INFO"], "status": None}
    seen.append(note)

    def start(status, headers, exc_info=None):
        note["status"] = int(status.split()[0])
        return start_response(status, headers, exc_info)

    return app(environ, start)


def end_with_input():
    sys.stdin.buffer.read()
    os._exit(0)


server = create_server(noted, host="127.0.0.1", port=0)
threading.Thread(target=end_with_input, daemon=True).start()
print("ready", server.effective_port, flush=True)
server.run()
