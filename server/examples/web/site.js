// A small web server on node:http alone. It serves site/VERSION/index.html and tells how it is.
//   node site.js --port 8080 --version 1.0.0
"use strict";
const http = require("node:http");
const fs = require("node:fs");
const path = require("node:path");
const { parseArgs } = require("node:util");

const { values } = parseArgs({
  options: { port: { type: "string" }, version: { type: "string" } },
});
const port = Number(values.port);
if (!Number.isInteger(port) || port < 1 || port > 65535 || !values.version) {
  console.error("usage: node site.js --port PORT --version VERSION");
  process.exit(2);
}
const page = path.join(__dirname, "site", values.version, "index.html");

function answer(response, status, type, body) {
  response.writeHead(status, { "content-type": type, "cache-control": "no-store" });
  response.end(body);
}

function json(response, status, value) {
  answer(response, status, "application/json", JSON.stringify(value));
}

const server = http.createServer((request, response) => {
  const { pathname } = new URL(request.url, "http://site");
  if (pathname === "/version") {
    return json(response, 200, { version: values.version });
  }
  fs.readFile(page, "utf8", (error, text) => {
    if (pathname === "/health") {
      return error
        ? json(response, 500, { status: "error", reason: `index.html: ${error.code}` })
        : json(response, 200, { status: "ok" });
    }
    if (pathname !== "/") {
      return answer(response, 404, "text/plain", "not found\n");
    }
    return error
      ? answer(response, 500, "text/plain", "this release has no index.html\n")
      : answer(response, 200, "text/html; charset=utf-8", text);
  });
});

server.on("error", (error) => {
  console.error(`cannot listen on 127.0.0.1:${port}: ${error.message}`);
  process.exit(1);
});
server.listen(port, "127.0.0.1", () => {
  console.log(`site ${values.version} listens on 127.0.0.1:${port}`);
});

process.on("SIGTERM", () => {
  // What is under way is finished; idle connections are closed.
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
