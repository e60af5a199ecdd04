// The way through all layers: sign in, see the services, signed out again; with the WASM and without.
const { test, expect } = require("@playwright/test");
const { execFileSync } = require("node:child_process");

const url = () => process.env.LOCKSTEP_URL;

function command(...args) {
  return execFileSync(process.env.LOCKSTEP_PROGRAM, args, {
    env: { PATH: process.env.PATH, LOCKSTEP_DATA_DIR: process.env.LOCKSTEP_DATA_DIR, CI: "true" },
    encoding: "utf8",
  });
}

// Whatever the browser complains about is a fault of the page.
function complaints(page) {
  const heard = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) heard.push(message.text());
  });
  page.on("pageerror", (error) => heard.push(String(error)));
  return heard;
}

const PASSWORD = "correct-horse-battery";

test.describe.serial("the first page", () => {
  test("an invited user sets a password without JavaScript and sees the services", async ({ browser }) => {
    const made = JSON.parse(command("user", "add", "vera", "--role", "viewer", "--json"));
    const context = await browser.newContext({ javaScriptEnabled: false });
    const page = await context.newPage();
    await page.goto(url() + made.path);
    await page.getByLabel("Password, 12 characters or more").fill(PASSWORD);
    await page.getByLabel("The same again").fill(PASSWORD);
    await page.getByRole("button", { name: "Set and sign in" }).click();
    await expect(page.getByRole("heading", { name: "Services" })).toBeVisible();
    await expect(page.getByRole("row")).toHaveCount(7);
    await expect(page.getByRole("row", { name: /backend/ }).first()).toContainText("1.0.0");
    await context.close();
  });

  test("a wrong password is refused and the page leads back to where one wanted to go", async ({ page }) => {
    await page.goto(url() + "/?from=mail");
    await expect(page).toHaveURL(/\/login\?next=/);
    await page.getByLabel("Name").fill("vera");
    await page.getByLabel("Password").fill("wrong-wrong-wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
    await expect(page.getByRole("alert")).toContainText("Name or password is wrong");
    await page.getByLabel("Name").fill("vera");
    await page.getByLabel("Password").fill(PASSWORD);
    await page.getByRole("button", { name: "Sign in" }).click();
    await expect(page).toHaveURL(url() + "/?from=mail");
  });

  test("the demo's link signs in once, the page hydrates and follows what happens", async ({ page }) => {
    const heard = complaints(page);
    await page.goto(process.env.LOCKSTEP_LINK);
    await expect(page.locator("html[data-hydrated]")).toBeAttached();
    const row = page.getByRole("row", { name: /web_portal/ }).filter({ hasText: "staging" });
    await expect(row).toContainText("1.0.0");
    command("deploy", "--set", "web_portal=1.1.0", "--wait");
    await expect(row).toContainText("1.1.0", { timeout: 15_000 });
    await expect(row).toContainText("healthy", { ignoreCase: true, timeout: 15_000 });
    expect(heard).toEqual([]);
    await page.getByRole("button", { name: "Sign out" }).click();
    await expect(page).toHaveURL(/\/login/);
    await page.goto(process.env.LOCKSTEP_LINK);
    await expect(page.getByRole("alert")).toContainText("used already");
  });

  for (const [name, width, scheme] of [
    ["phone, dark", 360, "dark"], ["phone, light", 360, "light"],
    ["desk, dark", 1280, "dark"], ["desk, light", 1280, "light"],
  ]) {
    test(`nothing is cut off: ${name}`, async ({ browser }) => {
      const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme: scheme });
      const page = await context.newPage();
      const heard = complaints(page);
      await page.goto(url() + "/login");
      await page.getByLabel("Name").fill("vera");
      await page.getByLabel("Password").fill(PASSWORD);
      await page.getByRole("button", { name: "Sign in" }).click();
      await expect(page.getByRole("heading", { name: "Services" })).toBeVisible();
      await expect(page.locator("html[data-hydrated]")).toBeAttached();
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      expect(overflow).toBeLessThanOrEqual(0);
      if (process.env.SCREENSHOTS) {
        const file = `${process.env.SCREENSHOTS}/services-${width}-${scheme}.png`;
        await page.screenshot({ path: file, fullPage: true });
      }
      expect(heard).toEqual([]);
      await context.close();
    });
  }
});
