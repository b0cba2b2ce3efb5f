"""One client library with its own cache, or without: `client.py NAME`.

Each line of standard input is a request in JSON, each line of standard output its answer. Bodies are written as the
characters of Latin-1. What goes over the wire is the library's own business.
"""

import json
import sqlite3
import sys


def through_requests(session):
    def ask(method, url, fields, body, decode):
        with session.request(method, url, headers=fields, data=body, allow_redirects=False, stream=True) as answer:
            # A redirect's content requests has read by now.
            whole = decode or answer.is_redirect
            content = answer.content if whole else b"".join(answer.raw.stream(decode_content=False))
            return answer.status_code, list(answer.raw.headers.items()), content, getattr(answer, "from_cache", False)

    return ask


def through_httpx(client):
    def ask(method, url, fields, body, decode):
        with client.stream(method, url, headers=fields, content=body) as answer:
            content = answer.read() if decode else b"".join(answer.iter_raw())
            fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers.raw]
            return answer.status_code, fields, content, answer.extensions.get("caching", {}).get("from_cache", False)

    return ask


def client(name):
    if name == "requests":
        import requests

        return through_requests(requests.Session())
    if name == "cachecontrol":
        import cachecontrol
        import requests

        return through_requests(cachecontrol.CacheControl(requests.Session()))
    if name == "httpx":
        import httpx

        return through_httpx(httpx.Client())
    if name == "hishel":
        import hishel
        import hishel.httpx

        kept = hishel.SqliteStorage(connection=sqlite3.connect(":memory:", check_same_thread=False))
        # Private, as a browser's cache: s-maxage isn't for it.
        return through_httpx(hishel.httpx.CacheClient(storage=kept, rfc=hishel.CacheOptions(shared=False)))
    raise SystemExit(f"no client {name}")


ask = client(sys.argv[1])
for line in sys.stdin:
    status, fields, content, kept = ask(**json.loads(line))
    answer = {"status": status, "fields": fields, "body": content.decode("latin-1"), "kept": kept}
    print(json.dumps(answer), flush=True)
