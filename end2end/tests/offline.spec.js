// When the connection goes: no network, a socket that died unnoticed, a server that is killed in the
// middle of a deployment.
const { test, expect } = require("@playwright/test");
const { url, start, end, as, complaints, open, isLive, link } = require("../support.js");
const server = require("../server.js");

test("a browser without network says so at once, and comes back by itself", async ({ browser }) => {
  const context = await as(browser, "viewer");
  const page = await context.newPage();
  await open(page, "/");
  await isLive(page);
  await context.setOffline(true);
  await expect(link(page)).toContainText("Offline", { timeout: 2_000 });
  await expect(page.getByRole("button", { name: "Retry now" })).toBeVisible();
  await context.setOffline(false);
  await isLive(page);
  await context.close();
});

test("what was not seen yet comes as soon as its piece can be had", async ({ browser }) => {
  const context = await as(browser, "viewer");
  const page = await context.newPage();
  const faults = [];
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => { if (message.text().includes("panicked")) faults.push(message.text()); });
  await open(page, "/");
  await isLive(page);
  // Pieces that were asked for in vain, and how often each was.
  const asked = new Map();
  page.on("requestfailed", (request) => {
    const { pathname } = new URL(request.url());
    if (pathname.endsWith(".wasm")) asked.set(pathname, (asked.get(pathname) ?? 0) + 1);
  });
  const twice = () => [...asked.values()].filter((times) => times > 1).length;
  await context.setOffline(true);
  await expect(link(page)).toContainText("Offline", { timeout: 2_000 });
  await page.getByRole("link", { name: "Services", exact: true }).first().click();
  await page.keyboard.press("Control+k");
  // It is asked for again in vain, too: whoever gave up after the first time would be seen.
  await expect.poll(twice, { timeout: 15_000 }).toBeGreaterThan(0);
  await context.setOffline(false);
  await isLive(page);
  await expect(page).toHaveURL(/\/services$/);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Services");
  await expect(page.getByRole("dialog")).toBeVisible();
  await page.keyboard.press("Escape");
  await page.getByRole("link", { name: "Settings", exact: true }).first().click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Settings");
  expect(faults).toEqual([]);
  await context.close();
});

test("a piece that comes damaged is said to be, asked for again, and used once it is whole", async ({ browser }) => {
  const context = await as(browser, "viewer");
  const page = await context.newPage();
  await open(page, "/");
  await isLive(page);
  await page.waitForLoadState("networkidle");
  let asked = 0;
  let isDamaged = true;
  await page.route(/\.wasm$/, async (route) => {
    asked += 1;
    if (isDamaged) await route.fulfill({ contentType: "application/wasm", body: "\0asm and no more" });
    else await route.continue();
  });
  await page.getByRole("link", { name: "Services", exact: true }).first().click();
  const said = page.locator(".torn");
  await expect(said.getByRole("alert")).toContainText("arrived damaged", { timeout: 20_000 });
  await expect(said.getByRole("link", { name: "Reload the page" })).toBeVisible();
  expect(asked).toBeGreaterThan(1);
  isDamaged = false;
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Services", { timeout: 20_000 });
  await expect(said).toHaveCount(0);
  await context.close();
});

test("what is pressed while its piece cannot be loaded says so, and comes by itself", async ({ browser }) => {
  const context = await as(browser, "viewer");
  const page = await context.newPage();
  await open(page, "/");
  await isLive(page);
  await page.waitForLoadState("networkidle");
  let isAway = true;
  await page.route(/\.wasm$/, (route) => (isAway ? route.abort() : route.continue()));
  await page.getByRole("link", { name: "Services", exact: true }).first().click();
  const said = page.locator(".torn");
  await expect(said.getByRole("alert")).toContainText("the server does not answer");
  isAway = false;
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Services", { timeout: 20_000 });
  await expect(said).toHaveCount(0);
  await context.close();
});

test("a socket that died unnoticed is left when somebody looks", async ({ browser }) => {
  const context = await as(browser, "viewer");
  const page = await context.newPage();
  let [sockets, isDeaf, asked, answered] = [0, false, false, 0];
  // The first one takes everything and answers nothing any more; whatever comes after it works.
  await page.routeWebSocket(/\/live$/, (socket) => {
    sockets += 1;
    const isFirst = sockets === 1;
    const real = socket.connectToServer();
    socket.onMessage((message) => { if (!(isFirst && isDeaf)) real.send(message); });
    real.onMessage((message) => {
      if (asked && String(message).startsWith('{"ping"')) answered += 1;
      if (!(isFirst && isDeaf)) socket.send(message);
    });
  });
  await open(page, "/");
  await isLive(page);
  expect(sockets).toBe(1);
  // As long as it answers, looking changes nothing.
  asked = true;
  await page.evaluate(() => window.dispatchEvent(new Event("focus")));
  await expect.poll(() => answered).toBeGreaterThan(0);
  expect(sockets).toBe(1);
  isDeaf = true;
  await page.evaluate(() => window.dispatchEvent(new Event("focus")));
  await expect.poll(() => sockets, { timeout: 12_000 }).toBe(2);
  await isLive(page);
  await context.close();
});

test("a socket that is cut again and again is tried less often, but every three seconds while it is seen", async ({ browser }) => {
  const context = await as(browser, "viewer");
  const page = await context.newPage();
  const opened = [];
  await page.routeWebSocket(/\/live$/, (socket) => {
    opened.push(Date.now());
    const real = socket.connectToServer();
    // It says hello and is cut.
    real.onMessage((message) => { socket.send(message); socket.close({ code: 1012 }); });
  });
  // Otherwise the page would ask instead, which is another matter.
  await page.route("**/api/v1/deployment/monitor", (route) => route.abort());
  await open(page, "/");
  await expect.poll(() => opened.length, { timeout: 40_000 }).toBeGreaterThan(6);
  const waits = opened.slice(1, 7).map((at, place) => at - opened[place]);
  expect(waits[1]).toBeGreaterThan(700);
  expect(waits[2]).toBeGreaterThan(1_500);
  // Waits are 2.8 s at most; a busy machine is allowed to be late.
  expect(Math.max(...waits)).toBeLessThan(6_000);
  await expect(link(page)).toContainText(/Reconnecting in [123] s/);
  await context.close();
});

test("a server that is killed in the middle of a deployment finishes it, and the page sees it", async ({ browser }) => {
  test.setTimeout(120_000);
  const context = await as(browser, "viewer");
  const page = await context.newPage();
  const heard = complaints(page, ["WebSocket", "ERR_CONNECTION", "Failed to load resource"]);
  const data = process.env.LOCKSTEP_DATA_DIR;
  await open(page, "/");
  await isLive(page);
  const id = start("--set", "backend=1.8.0");
  await page.getByRole("link", { name: `Open deployment ${id}` }).click();
  await expect(page.locator("[data-step='backend.watch']")).toHaveAttribute("data-state", "running", { timeout: 20_000 });
  await end(data, (pid) => process.kill(pid, "SIGKILL"));
  await expect(link(page)).toContainText("Reconnecting", { timeout: 15_000 });
  await expect(page.locator(".head .pill").first()).not.toHaveText("Succeeded");
  await server.start(data, new URL(url()).port);
  await isLive(page);
  await expect(page.locator(".head .pill").first()).toHaveText("Succeeded", { timeout: 30_000 });
  await expect(page).toHaveTitle(new RegExp(`#${id}`));
  expect(heard).toEqual([]);
  await context.close();
});
