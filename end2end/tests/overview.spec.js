// The overview's rows: what fails comes first, for the eye and for the keyboard alike.
const { test, expect } = require("@playwright/test");
const { url, as, complaints, open, isLive, fits } = require("../support.js");

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

test("matrix or list and the order stand in the address, with and without scripts", async ({ browser }) => {
  const context = await as(browser, "viewer", { viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  const heard = complaints(page);
  await open(page, "/");
  await isLive(page);
  const choose = (group, name) => page.getByRole("group", { name: group, exact: true }).getByRole("link", { name, exact: true });
  const names = () => page.locator(".matrix tbody th span:first-child").allTextContents();
  await expect(choose("View", "Matrix")).toHaveAttribute("aria-current", "true");
  const services = [...(await names())].sort();
  // By keyboard, as by mouse.
  await choose("Order", "Name").focus();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\?sort=name$/);
  await expect.poll(names).toEqual(services);
  await choose("View", "List").click();
  await expect(page).toHaveURL(/view=list/);
  await expect.poll(names).toEqual(services.flatMap((name) => [`${name} in production`, `${name} in staging`]));
  // The address says it all, to somebody else and to a browser without scripts.
  const address = page.url();
  await page.goto(address);
  await isLive(page);
  await expect(choose("View", "List")).toHaveAttribute("aria-current", "true");
  const plain = await as(browser, "viewer", { javaScriptEnabled: false });
  const still = await plain.newPage();
  await still.goto(address);
  await expect(still.locator("tbody th").last()).toContainText(/ in (staging|production)/);
  await plain.close();
  // Clearing the filter leaves the rest as it was chosen.
  const last = services.at(-1);
  await page.getByRole("searchbox", { name: "Filter services" }).fill(last);
  await expect.poll(names).toEqual([`${last} in production`, `${last} in staging`]);
  await page.getByRole("link", { name: "Clear filters" }).click();
  await expect(page).toHaveURL(/\?(?=.*view=list)(?=.*sort=name)/);
  await expect.poll(names).toHaveLength(services.length * 2);
  expect(heard).toEqual([]);
  await context.close();
});

test("on a phone the choices are in a sheet, and rows of the list are cards", async ({ browser }) => {
  const context = await as(browser, "viewer", { viewport: { width: 360, height: 800 }, hasTouch: true, isMobile: true });
  const page = await context.newPage();
  const heard = complaints(page);
  await open(page, "/");
  await isLive(page);
  const list = page.getByRole("link", { name: "List", exact: true });
  await expect(list).toBeHidden();
  await page.locator(".sheet > summary").tap();
  await list.tap();
  await expect(page.locator(".matrix-list tbody th").first()).toContainText(/ in (staging|production)/);
  await fits(page);
  expect(heard).toEqual([]);
  await context.close();
});
