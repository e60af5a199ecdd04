// A release that waits for approval: whoever asked for it cannot give it, somebody else does so on a phone,
// with the password again when it was given long ago.
const { test, expect } = require("@playwright/test");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const server = require("../server.js");
const { complaints, fits } = require("../support.js");

// So long a password counts as just given.
const CONFIRM_MS = 4_000;
const MANIFEST = `version: 1
project: shop
default_environment: production
environments:
  production: {approvals: {count: 1, by: {role: operator}}}
watch: 0s
services:
  web:
    version: "1.0.0"
    target: {type: command, deploy: [sh, -c, "true"], undo: [sh, -c, "true"], observe: [sh, -c, "echo 1.0.0"]}
`;

test.describe.serial("approvals", () => {
  let folder, data, url, cookies, entered;

  test.beforeAll(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "lockstep-approve-"));
    data = path.join(folder, "data");
    const port = await server.freePort();
    url = `http://127.0.0.1:${port}`;
    await server.start(data, port, ["--confirm-ms", String(CONFIRM_MS)]);
    const file = path.join(folder, "lockstep.yaml");
    fs.writeFileSync(file, MANIFEST);
    server.command(data, "apply", file);
    cookies = {
      anna: await server.enter(url, data, "anna", "deployer"),
      bert: await server.enter(url, data, "bert", "operator"),
    };
    entered = Date.now();
    const answer = await fetch(`${url}/api/v1/deployment/start`, {
      method: "POST",
      headers: { "content-type": "application/json", origin: url, cookie: `lockstep=${cookies.anna}` },
      body: "{}",
    });
    expect(answer.status).toBe(200);
  });

  test.afterAll(async () => {
    await server.end(data, () => server.command(data, "stop", "--all"));
    fs.rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 });
  });

  async function open(browser, name, options = {}) {
    const context = await browser.newContext(options);
    await context.addCookies([{ name: "lockstep", value: cookies[name], url, httpOnly: true, sameSite: "Lax" }]);
    const page = await context.newPage();
    return { context, page };
  }

  const ready = (page) => expect(page.locator("html[data-hydrated]")).toBeAttached({ timeout: 20_000 });

  test("whoever asked for it sees that it waits, for whom, and why they cannot approve it", async ({ browser }) => {
    const { context, page } = await open(browser, "anna");
    const heard = complaints(page);
    await page.goto(`${url}/`);
    await ready(page);
    await expect(page.locator("#running")).toContainText("waits for approval: 0 of 1");
    await page.goto(`${url}/deployments/1`);
    await ready(page);
    const strip = page.getByRole("region", { name: "Waits for approval: 0 of 1" });
    await expect(strip).toContainText("whoever is at least operator there");
    await expect(strip).toContainText("This deployment is your own");
    await expect(strip.getByRole("button", { name: "Approve…" })).toHaveAttribute("aria-disabled", "true");
    await expect(strip.getByRole("button", { name: "Reject…" })).toHaveAttribute("aria-disabled", "true");
    expect(heard).toEqual([]);
    await context.close();
  });

  test("somebody else approves it on a phone, after giving the password again", async ({ browser }) => {
    const { context, page } = await open(browser, "bert", { viewport: { width: 360, height: 800 }, hasTouch: true, isMobile: true });
    await page.goto(`${url}/deployments/1`);
    await ready(page);
    const strip = page.getByRole("region", { name: "Waits for approval: 0 of 1" });
    await expect(strip).toBeVisible();
    await fits(page);
    // The password is to be one that was given long ago.
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, entered + CONFIRM_MS + 100 - Date.now())));
    await strip.getByRole("button", { name: "Approve…" }).tap();
    const dialog = page.getByRole("dialog", { name: "Approve #1 to production" });
    await expect(dialog).toContainText("web 1.0.0");
    await dialog.getByRole("button", { name: "Approve" }).tap();
    const again = page.getByRole("dialog", { name: "Is it you?" });
    await again.getByLabel("Password").fill("wrong-wrong-wrong");
    await again.getByRole("button", { name: "Go on" }).tap();
    await expect(again.getByRole("alert")).toContainText("that is not your password");
    await again.getByLabel("Password").fill(server.PASSWORD);
    await page.keyboard.press("Enter");
    await expect(strip).toBeHidden({ timeout: 20_000 });
    await expect(page.locator(".head .pill").first()).toHaveText("Succeeded", { timeout: 20_000 });
    // The session goes on under another id, and the page with it.
    await page.goto(`${url}/deployments/1?tab=audit`);
    await expect(page.getByText("/deployment/approve")).toBeVisible();
    await context.close();
  });
});
