"""The origin behind the gateway: counts what reaches it. Prints its port, then serves until it is ended.

/large is 4 MiB, fresh for a day; /late/… comes after 200 ms and isn't kept; anything else is 1 KiB, fresh for a day.
/_count says how many requests there were, itself left out."""

import asyncio

SMALL, LARGE = b"x" * 1024, b"x" * (4 << 20)
count = 0


async def serve(reader, writer):
    global count
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target = head.split(b" ", 2)[:2]
            length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
            if length:
                await reader.readexactly(length)
            body, control = SMALL, b"max-age=86400"
            if target == b"/_count":
                body, control = str(count).encode(), b"no-store"
            else:
                count += 1
            if target == b"/large":
                body = LARGE
            if target.startswith(b"/late/"):
                await asyncio.sleep(0.2)
                control = b"no-store"
            fields = b"Content-Type: text/plain\r\nCache-Control: %s\r\nContent-Length: %d\r\n" % (control, len(body))
            writer.write(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n" + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 20, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
