// Acting: by keyboard alone, on a phone in three taps, and not at all for those who may not.
const { test, expect } = require("@playwright/test");
const { url, command, start, as, complaints, open, isLive, lastId, fits } = require("../support.js");

test.describe.serial("acting", () => {
  test("on a phone: see, open, take back in three taps", async ({ browser }) => {
    start("--set", "web_portal=1.1.0", "--wait");
    start("--set", "web_portal=1.0.0", "--wait");
    const id = lastId();
    const context = await as(browser, "operator", { viewport: { width: 360, height: 800 }, hasTouch: true, isMobile: true });
    const page = await context.newPage();
    await open(page, "/");
    await isLive(page);
    await page.getByRole("link", { name: new RegExp(`Succeeded.*#${id}`) }).tap();
    await expect(page.getByRole("heading", { name: `#${id}` })).toBeVisible();
    await fits(page);
    await page.getByRole("button", { name: "Take back" }).tap();
    const dialog = page.getByRole("dialog");
    await expect(dialog).toContainText("web_portal: 1.0.0 → 1.1.0");
    await dialog.getByRole("button", { name: "Take back" }).tap();
    await expect(page).toHaveURL(new RegExp(`/deployments/${id + 1}`));
    await expect(page.locator(".head .pill").first()).toHaveText("Succeeded", { timeout: 20_000 });
    await context.close();
  });

  test("by keyboard alone: start a deployment in production, typing its name, and cancel it", async ({ browser }) => {
    const context = await as(browser, "deployer");
    const page = await context.newPage();
    const heard = complaints(page);
    await open(page, "/");
    await isLive(page);
    await page.keyboard.press("c");
    await page.keyboard.press("d");
    await expect(page.getByRole("heading", { name: "New deployment" })).toBeVisible();
    await page.getByRole("link", { name: "production", exact: true }).focus();
    await page.keyboard.press("Enter");
    await expect(page).toHaveURL(/environment=production/);
    await page.locator("#pick-web_portal").focus();
    await page.keyboard.press("Space");
    await page.getByLabel("Version of web_portal").focus();
    await page.keyboard.type("1.1.0");
    await page.keyboard.press("Tab");
    await expect(page).toHaveURL(/set=web_portal%401.1.0|set=web_portal@1.1.0/);
    await page.getByRole("button", { name: "Show the plan" }).focus();
    await page.keyboard.press("Enter");
    await expect(page.getByRole("table").first()).toContainText("1.0.0 → 1.1.0");
    await expect(page.getByRole("table").last()).toContainText("web_portal.shift");
    await expect(page.getByRole("table").last()).toContainText("the traffic goes back to what served");
    await page.getByRole("button", { name: "Start…" }).focus();
    await page.keyboard.press("Enter");
    const dialog = page.getByRole("dialog");
    const typed = dialog.getByLabel(/Type production/);
    await expect(typed).toBeVisible();
    await typed.focus();
    await page.keyboard.press("Enter");
    await expect(dialog.getByRole("alert")).toContainText("Type production to confirm");
    await page.keyboard.type("staging");
    await page.keyboard.press("Enter");
    await expect(dialog.getByRole("alert")).toContainText("That is not production");
    await page.keyboard.press("Escape");
    await expect(dialog).toBeHidden();
    await expect(page.getByRole("button", { name: "Start…" })).toBeFocused();
    await page.keyboard.press("Enter");
    await dialog.getByLabel(/Type production/).fill("production");
    await page.keyboard.press("Enter");
    await expect(page.getByRole("heading", { name: /#\d+ production/ })).toBeVisible();
    await page.getByRole("button", { name: "Cancel" }).focus();
    await page.keyboard.press("Enter");
    await expect(dialog).toContainText("No further step begins");
    await dialog.getByRole("button", { name: "Cancel the deployment" }).focus();
    await page.keyboard.press("Enter");
    await expect(page.locator(".head .pill").first()).toHaveText(/Cancelled|Rolled back/, { timeout: 20_000 });
    expect(heard).toEqual([]);
    await context.close();
  });

  test("a viewer sees why not, and the endpoint refuses", async ({ browser }) => {
    const context = await as(browser, "viewer");
    const page = await context.newPage();
    const id = lastId();
    await open(page, "/");
    const begin = page.getByRole("button", { name: "New deployment" });
    await expect(begin).toHaveAttribute("aria-disabled", "true");
    await expect(begin).toHaveAttribute("title", /needs the role deployer; you are viewer/);
    await begin.click({ force: true });
    await expect(page).toHaveURL(url() + "/");
    await open(page, `/deployments/${id}?tab=checkpoints`);
    await expect(page.getByRole("button", { name: "Restore these" })).toHaveAttribute("aria-disabled", "true");
    for (const [path, body] of [["rollback", { id }], ["cancel", { id }], ["start", {}], ["undo_retry", { id }]]) {
      const answer = await page.evaluate(async ([path, body]) => {
        const answer = await fetch(`/api/v1/deployment/${path}`, {
          method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
        });
        return answer.status;
      }, [path, body]);
      expect(answer, path).toBe(403);
    }
    await context.close();
  });

  test("the palette finds, and goes; keys can be switched off", async ({ browser }) => {
    const context = await as(browser, "viewer");
    const page = await context.newPage();
    await open(page, "/");
    await isLive(page);
    await page.keyboard.press("Control+k");
    await expect(page.getByRole("combobox")).toBeFocused();
    await page.keyboard.type("frontend staging");
    await expect(page.getByRole("option").first()).toContainText("frontend staging");
    await page.keyboard.press("Enter");
    await expect(page).toHaveURL(/\/services\/frontend/);
    await page.keyboard.press("g");
    await page.keyboard.press("d");
    await expect(page).toHaveURL(/\/deployments$/);
    // From the system's theme to the light one, and the letter alone does nothing.
    await page.keyboard.press("t");
    await page.keyboard.press("c");
    await page.keyboard.press("t");
    await expect(page.locator("html")).toHaveAttribute("data-theme", "light");
    await page.keyboard.press("?");
    const keys = page.getByRole("dialog", { name: "Keys" });
    await expect(keys).toBeVisible();
    await expect(keys.locator(".help-row", { hasText: "theme" }).locator("kbd")).toHaveText(["c", "t"]);
    await page.keyboard.press("Escape");
    await open(page, "/settings");
    await page.getByLabel(/Single letters/).uncheck();
    await page.locator("h1").click();
    await page.keyboard.press("c");
    await page.keyboard.press("d");
    await expect(page).toHaveURL(/settings/);
    await page.getByRole("button", { name: "dark" }).click();
    await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
    const again = await page.request.get(url() + "/");
    expect(await again.text()).toContain('data-theme="dark"');
    await context.close();
  });

  test("hostile words stay words", async ({ browser }) => {
    const evil = `<img src=x onerror="window.hurt=1">"'\u202e</script><script>window.hurt=1</script>`;
    command("deploy", "--set", "web_portal=1.0.0", "--reason", evil, "--label", `x=${evil}`, "--commit", evil.slice(0, 60), "--wait");
    const id = lastId();
    const context = await as(browser, "viewer");
    const page = await context.newPage();
    const heard = complaints(page);
    for (const path of ["/", "/deployments", `/deployments/${id}`, `/deployments/${id}?tab=audit`, `/deployments?q=${encodeURIComponent(evil)}`, `/deployments/${id}?stage=${encodeURIComponent(evil)}&log=${encodeURIComponent(evil)}`, `/services/backend?environment=${encodeURIComponent(evil)}`]) {
      await open(page, path);
      expect(await page.evaluate(() => window.hurt), path).toBeUndefined();
      expect(await page.locator("img").count(), path).toBe(0);
    }
    await open(page, `/deployments/${id}`);
    await expect(page.locator(".meta-list")).toContainText('<img src=x onerror="window.hurt=1">');
    expect(heard).toEqual([]);
    await context.close();
  });
});
