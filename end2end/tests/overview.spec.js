// The overview's rows: what fails comes first, for the eye and for the keyboard alike.
const { test, expect } = require("@playwright/test");
const { url, as, complaints, open, isLive } = require("../support.js");

test("a row that changes its place is moved, and what has the focus keeps it", async ({ browser }) => {
  const context = await as(browser, "viewer");
  const page = await context.newPage();
  const heard = complaints(page);
  let send;
  // What the server says after the first words is left out: this test alone says how services are.
  await page.routeWebSocket(/\/live$/, (socket) => {
    const server = socket.connectToServer();
    send = (frame) => socket.send(JSON.stringify(frame));
    server.onMessage((message) => { if (!JSON.parse(message).patch) socket.send(message); });
  });
  await open(page, "/");
  await isLive(page);
  const body = { topics: [{ topic: "overview" }] };
  const answer = await context.request.post(`${url()}/api/v1/deployment/monitor`, { data: body, headers: { origin: url() } });
  const { place, body: { overview: { cells } } } = (await answer.json()).frames[0].snapshot;
  let seq = place.seq + 1_000;
  const say = (health) => send({ patch: { topic: "overview", place: { ...place, seq: seq += 1 }, body: { overview: {
    cells: cells.map((cell, n) => ({ cell: n, service: { ...cell.service, changing: null, health: health(cell.service.service) } })),
  } } } });
  const names = () => page.locator(".matrix tbody th span:first-child").allTextContents();
  const all = [...new Set(cells.map((cell) => cell.service.service))].sort();
  say(() => "healthy");
  await expect.poll(names).toEqual(all);
  // The first row has the focus, and is still the same row when others have come before it.
  await page.locator(`tr[data-row=${all[0]}] a`).first().focus();
  await page.evaluate(() => { document.activeElement.closest("tr").isTheSame = true; });
  say((service) => (service === all[0] ? "healthy" : "unhealthy"));
  await expect.poll(names).toEqual([...all.slice(1), all[0]]);
  expect(await page.evaluate(() => [document.activeElement.closest("tr").dataset.row, document.activeElement.closest("tr").isTheSame]))
    .toEqual([all[0], true]);
  // The Tab key goes in the order that is seen.
  await page.keyboard.press("Shift+Tab");
  expect(await page.evaluate(() => document.activeElement.closest("tr").dataset.row)).toBe(all.at(-1));
  // It fails most of all: the first again, and the others after it by name.
  say((service) => (service === all[0] ? "unhealthy" : "healthy"));
  await expect.poll(names).toEqual(all);
  expect(heard).toEqual([]);
  await context.close();
});
