// What pages say besides the state of things: which versions are known, who needs whom, how the way back is
// asked for; what is copied and downloaded; and what the tab's icon says.
const { test, expect } = require("@playwright/test");
const { url, command, start, breakIt, as, complaints, open, isLive, lastId } = require("../support.js");

const icon = (page) => page.locator("link[rel=icon]");

test.describe.serial("shown", () => {
  test("who starts a deployment sees what serves, which versions are known, and what the plan changes", async ({ browser }) => {
    start("--set", "web_portal=1.1.0", "--wait");
    const context = await as(browser, "deployer");
    const page = await context.newPage();
    const heard = complaints(page);
    await open(page, "/services/web_portal?project=shop&environment=staging");
    await page.getByRole("button", { name: "Deploy…" }).or(page.getByRole("link", { name: "Deploy…" })).click();
    await expect(page.getByRole("heading", { level: 1, name: "New deployment" })).toBeVisible();
    await expect(page.locator("#pick-web_portal")).toBeChecked();
    await expect(page.locator("main")).toContainText("1.1.0 serves");
    const known = page.locator("datalist#known-web_portal option");
    await expect(known.and(page.locator("[value='1.1.0']"))).toHaveText(/succeeded in #\d+ \(staging\)/);
    await expect(known.and(page.locator("[value='1.0.0']"))).toHaveCount(1);
    await page.getByLabel("Version of web_portal").fill("1.0.0");
    await page.keyboard.press("Tab");
    await page.getByRole("button", { name: "Show the plan" }).click();
    await expect(page.getByRole("table").first()).toContainText("1.1.0 → 1.0.0");
    await expect(page.getByText(/It takes about \d/)).toBeVisible();
    expect(heard).toEqual([]);
    await context.close();
  });

  test("a service's page names its versions everywhere, what it needs, what needs it, and its deployments", async ({ browser }) => {
    const context = await as(browser, "viewer");
    const page = await context.newPage();
    const heard = complaints(page);
    const card = (name) => page.locator("section, .card").filter({ has: page.getByRole("heading", { level: 2, name, exact: true }) }).last();
    await open(page, "/services/backend?project=shop&environment=staging");
    for (const environment of ["staging", "production"]) {
      await expect(card("Environments").getByRole("link", { name: environment })).toBeVisible();
    }
    await expect(card("Dependencies")).toContainText(/It needs\s*nothing\s*It is needed by/);
    await expect(card("Deployments").getByRole("link", { name: /#\d+/ }).first()).toBeVisible();
    await card("Dependencies").getByRole("link", { name: /frontend/ }).click();
    await expect(page).toHaveURL(/\/services\/frontend/);
    await expect(card("Dependencies").getByRole("link", { name: /backend/ })).toBeVisible();
    expect(heard).toEqual([]);
    await context.close();
  });

  test("two deployments of the list are compared, and only what differs is shown", async ({ browser }) => {
    start("--set", "web_portal=1.0.0", "--wait");
    const [older, newer] = [lastId() - 1, lastId()];
    const context = await as(browser, "viewer");
    const page = await context.newPage();
    const heard = complaints(page);
    await open(page, `/deployments/compare?a=${older}&b=${newer}`);
    const row = page.getByRole("row", { name: /^web_portal/ }).first();
    await expect(row).toContainText("1.1.0");
    await expect(row).toContainText("1.0.0");
    await expect(row).toContainText("differs");
    await page.getByRole("link", { name: "only what differs" }).click();
    await expect(page).toHaveURL(/only=changed/);
    await expect(row).toBeVisible();
    await page.getByRole("link", { name: "the other way around" }).click();
    await expect(page).toHaveURL(new RegExp(`a=${newer}&b=${older}`));
    expect(heard).toEqual([]);
    await context.close();
  });

  test("a link is copied with all that the address says, and the services are taken along", async ({ browser }) => {
    const context = await as(browser, "viewer", { permissions: ["clipboard-read", "clipboard-write"] });
    const page = await context.newPage();
    await open(page, `/deployments/${lastId()}?tab=plan`);
    await page.getByRole("button", { name: "Copy link" }).click();
    await expect(page.locator(".toasts")).toContainText("Copied");
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(`${url()}/deployments/${lastId()}?tab=plan`);
    await page.getByRole("button", { name: "Copy the number" }).click();
    await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toContain(String(lastId()));
    const services = await (await context.request.get(`${url()}/services.json`)).json();
    const rows = Array.isArray(services) ? services : services.services;
    expect(rows.filter((one) => one.service === "backend").length).toBe(2);
    expect((await (await context.request.get(`${url()}/services.csv`)).text()).trim().split("\n").length).toBe(1 + rows.length);
    await context.close();
  });

  test("the icon of the tab says that there is no network, and that somebody is needed", async ({ browser }) => {
    const context = await as(browser, "viewer");
    const page = await context.newPage();
    let send;
    await page.routeWebSocket(/\/live$/, (socket) => {
      const server = socket.connectToServer();
      send = (frame) => socket.send(JSON.stringify(frame));
      server.onMessage((message) => { if (!JSON.parse(message).patch) socket.send(message); });
    });
    await open(page, "/");
    await isLive(page);
    await expect(icon(page)).toHaveAttribute("href", /icon\.svg$/);
    const answer = await context.request.post(`${url()}/api/v1/deployment/monitor`, { data: { topics: [{ topic: "overview" }] }, headers: { origin: url() } });
    const { place, body: { overview: { cells } } } = (await answer.json()).frames[0].snapshot;
    send({ patch: { topic: "overview", place: { ...place, seq: place.seq + 1_000 }, body: { overview: {
      cells: [{ cell: 0, service: { ...cells[0].service, changing: null, health: "unhealthy" } }],
    } } } });
    await expect(page).toHaveTitle("● 1 failing – Overview – Lockstep");
    await expect(icon(page)).toHaveAttribute("href", /icon-failing\.svg$/);
    await context.setOffline(true);
    await expect(icon(page)).toHaveAttribute("href", /icon-offline\.svg$/);
    await context.close();
  });

  test("what served before is restored after a look at what that means", async ({ browser }) => {
    start("--set", "web_portal=1.1.0", "--wait");
    const id = lastId();
    const context = await as(browser, "operator");
    const page = await context.newPage();
    const heard = complaints(page);
    await open(page, `/deployments/${id}`);
    await isLive(page);
    // The palette names what can be done with what has ended, and only opens what asks.
    await page.keyboard.press("Control+k");
    const palette = page.getByRole("combobox");
    await expect(palette).toBeFocused();
    await palette.fill("take back");
    await expect(page.getByRole("option").first()).toContainText(`Take back #${id}…`);
    await palette.fill("restore");
    await expect(page.getByRole("option").first()).toContainText(`Restore what served before #${id}…`);
    await page.keyboard.press("Enter");
    await expect(page.getByRole("dialog", { name: `Restore what served before #${id}` })).toBeVisible();
    await expect(page).toHaveURL(/tab=checkpoints/);
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Restore web_portal" }).click();
    const dialog = page.getByRole("dialog");
    await expect(dialog).toContainText("web_portal: 1.1.0 → 1.0.0");
    // A checkpoint is restored by typing the environment's name, also where nothing is guarded.
    const restore = dialog.getByRole("button", { name: "Restore" });
    await restore.click();
    await expect(dialog.getByRole("alert")).toContainText("Type staging to confirm");
    await dialog.getByLabel(/Type staging/).fill("staging");
    await restore.click();
    await expect(page).toHaveURL(new RegExp(`/deployments/${id + 1}`));
    await expect(page.locator(".head .pill").first()).toHaveText("Succeeded", { timeout: 30_000 });
    expect(JSON.parse(command("history", "--json")).deployments[0].id).toBe(id + 1);
    expect(heard).toEqual([]);
    await context.close();
  });

  test("the evidence of a gate that failed is what the service answered", async ({ browser }) => {
    try { breakIt("--wait"); } catch { /* It is taken back: exit 1. */ }
    const context = await as(browser, "viewer");
    const page = await context.newPage();
    const heard = complaints(page);
    await open(page, `/deployments/${lastId()}`);
    await page.getByRole("link", { name: "Checks" }).click();
    await expect(page).toHaveURL(/tab=checks/);
    await expect(page.locator("main")).toContainText("frontend.verify");
    await expect(page.locator("main")).toContainText(/503 from 127\.0\.0\.1:\d+\/health\/ready/);
    await expect(page.locator("main")).toContainText('"ready":false');
    await page.goBack();
    await expect(page).not.toHaveURL(/tab=/);
    await page.goForward();
    await expect(page.locator("main")).toContainText("frontend.verify");
    expect(heard).toEqual([]);
    await context.close();
  });
});
