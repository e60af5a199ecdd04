// Secrets, programs, roles and sign-in: by an admin, with the password again, and by keyboard alone.
const { test, expect } = require("@playwright/test");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const server = require("../server.js");
const { complaints } = require("../support.js");

// So long a password counts as just given.
const CONFIRM_MS = 4_000;
const MANIFEST = `version: 1
project: shop
default_environment: staging
environments: {staging: {}, production: {}}
watch: 0s
services:
  web:
    version: "1.0.0"
    target: {type: command, deploy: [sh, -c, "true"], undo: [sh, -c, "true"], observe: [sh, -c, "echo 1.0.0"]}
`;

test.describe.serial("parts of the administration", () => {
  let folder, data, url, cookie, entered;

  test.beforeAll(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "lockstep-parts-"));
    data = path.join(folder, "data");
    const [port, nobody] = [await server.freePort(), await server.freePort()];
    url = `http://127.0.0.1:${port}`;
    const oidc = path.join(folder, "oidc.toml");
    fs.writeFileSync(oidc, `issuer = "http://127.0.0.1:${nobody}"\nclient_id = "lockstep"\n\n[[map]]\ngroup = "ops"\nrole = "operator"\n`);
    await server.start(data, port, ["--confirm-ms", String(CONFIRM_MS), "--plain-issuers", "--oidc", oidc]);
    const file = path.join(folder, "lockstep.yaml");
    fs.writeFileSync(file, MANIFEST);
    server.command(data, "apply", file);
    cookie = await server.enter(url, data, "anna", "admin");
    entered = Date.now();
  });

  test.afterAll(async () => {
    await server.end(data, () => server.command(data, "stop", "--all"));
    fs.rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 });
  });

  // A page on which everything asks for the password again.
  async function open(browser, part) {
    const context = await browser.newContext();
    await context.addCookies([{ name: "lockstep", value: cookie, url, httpOnly: true, sameSite: "Lax" }]);
    const page = await context.newPage();
    await page.goto(`${url}/admin/${part}`);
    await expect(page.locator("html[data-hydrated]")).toBeAttached({ timeout: 20_000 });
    return { context, page };
  }

  // The session goes on under another id after each time that the password was given.
  async function close(context) {
    cookie = (await context.cookies(url)).find(({ name }) => name === "lockstep").value;
    await context.close();
  }

  const isLongAgo = () => new Promise((resolve) => setTimeout(resolve, Math.max(0, entered + CONFIRM_MS + 100 - Date.now())));

  async function itIsMe(page) {
    const again = page.getByRole("dialog", { name: "Is it you?" });
    await again.getByLabel("Password").fill(server.PASSWORD);
    await page.keyboard.press("Enter");
    await expect(again).toBeHidden();
    entered = Date.now();
  }

  test("a secret is set, replaced and removed; its value is shown nowhere", async ({ browser }) => {
    const { context, page } = await open(browser, "secrets");
    const heard = complaints(page, ["403"]);
    await isLongAgo();
    await page.getByLabel("Where").selectOption("shop/staging");
    await page.getByLabel("Name").fill("database-url");
    await page.getByLabel("Value").fill("postgres://never-shown");
    await page.getByRole("button", { name: "Set it" }).click();
    await itIsMe(page);
    const row = page.getByRole("row", { name: /database-url/ });
    await expect(row).toContainText("once");
    await row.getByRole("button", { name: "Replace database-url" }).click();
    await page.getByLabel("Value").fill("postgres://neither-this");
    await page.getByRole("button", { name: "Set it" }).click();
    await expect(row).toContainText("2 times");
    expect(await page.content()).not.toMatch(/never-shown|neither-this/);
    const csv = await (await context.request.get(`${url}/secrets.csv`)).text();
    expect(csv).toContain("shop,staging,database-url,2,anna,");
    await row.getByRole("button", { name: "Remove database-url" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel(/Type database-url/).fill("database-url");
    await dialog.getByRole("button", { name: "Remove it" }).click();
    await expect(page.getByText("No secret")).toBeVisible();
    expect(heard).toEqual([]);
    await close(context);
  });

  test("a trusted job and a webhook are made and removed, with the password again", async ({ browser }) => {
    const { context, page } = await open(browser, "programs");
    await isLongAgo();
    await page.getByText("Trust a job").click();
    const trust = page.locator("details", { hasText: "Trust a job" });
    await trust.getByLabel("Name", { exact: true }).fill("shop-main");
    await trust.getByLabel("Repository's id").fill("123456789");
    await trust.getByLabel("Owner's id").fill("12345");
    await trust.getByLabel("Environment on GitHub").fill("production");
    await trust.getByLabel("Audience").fill(url);
    await trust.getByRole("button", { name: "Trust it" }).click();
    await itIsMe(page);
    await expect(page.getByRole("row", { name: /shop-main/ })).toContainText("repository 123456789");
    await page.getByText("Open an address for webhooks").click();
    const hook = page.locator("details", { hasText: "Open an address for webhooks" });
    await hook.getByLabel("Name, also in its address").fill("shop-push");
    await hook.getByLabel("Who sends").selectOption("generic");
    await hook.getByLabel("Where its secret is").fill("env:LOCKSTEP_HOOK_SHOP");
    await hook.getByRole("button", { name: "Open it" }).click();
    await expect(page.getByRole("row", { name: /shop-push/ })).toBeVisible();
    await isLongAgo();
    for (const name of ["shop-push", "shop-main"]) {
      await page.getByRole("button", { name: `Remove ${name}` }).click();
      await page.getByRole("dialog").getByLabel(new RegExp(`Type ${name}`)).fill(name);
      await page.getByRole("dialog").getByRole("button", { name: "Remove it" }).click();
      if (name === "shop-push") await itIsMe(page);
      await expect(page.getByRole("row", { name: new RegExp(name) })).toHaveCount(0);
    }
    await close(context);
  });

  test("a provider that does not answer is told on its page", async ({ browser }) => {
    const { context, page } = await open(browser, "sign-in");
    await page.getByRole("button", { name: "Check now" }).click();
    const found = page.getByRole("status").filter({ hasText: "People cannot sign in there" });
    await expect(found).toContainText("Discovery document", { timeout: 20_000 });
    await expect(page.getByRole("button", { name: "Check now" })).toBeEnabled();
    await close(context);
  });

  test("by keyboard alone: somebody is invited, given a role after a look at what follows, and the link withdrawn", async ({ browser }) => {
    const { context, page } = await open(browser, "tokens");
    await isLongAgo();
    await page.getByRole("navigation", { name: "Administration" }).getByRole("link", { name: "People" }).focus();
    await page.keyboard.press("Enter");
    await expect(page.getByRole("heading", { name: "People", level: 1 })).toBeVisible();
    await page.locator("input[name=invite-name]").focus();
    await page.keyboard.type("bert");
    // What was typed is not lost by a link that was not meant.
    page.once("dialog", (dialog) => dialog.dismiss());
    await page.getByRole("navigation", { name: "Administration" }).getByRole("link", { name: "Tokens" }).focus();
    await page.keyboard.press("Enter");
    await expect(page.locator("input[name=invite-name]")).toHaveValue("bert");
    // Nor by going back.
    const asked = page.waitForEvent("dialog");
    await page.evaluate(() => { history.back(); });
    const question = await asked;
    expect(question.message()).toContain("What you typed is not sent yet");
    await question.dismiss();
    await expect(page).toHaveURL(/admin\/users/);
    await expect(page.locator("input[name=invite-name]")).toHaveValue("bert");
    await page.locator("input[name=invite-name]").focus();
    await page.keyboard.press("Enter");
    const again = page.getByRole("dialog", { name: "Is it you?" });
    await expect(again.getByLabel("Password")).toBeVisible();
    await again.getByLabel("Password").focus();
    await page.keyboard.type(server.PASSWORD);
    await page.keyboard.press("Enter");
    await expect(again).toBeHidden();
    entered = Date.now();
    const links = page.locator("section", { has: page.getByRole("heading", { name: "Invitations and links that are open" }) });
    await expect(links.getByRole("row", { name: /bert/ })).toContainText("invitation");
    await expect(links).not.toContainText("/link/");

    await page.locator("#people").locator("xpath=../..").getByRole("link", { name: "bert" }).focus();
    await page.keyboard.press("Enter");
    await expect(page).toHaveURL(/user=bert/);
    const card = page.locator("section", { has: page.getByRole("heading", { name: "bert", exact: true }) });
    await card.locator("select[name=give-role]").focus();
    await page.keyboard.type("operator");
    await card.locator("select[name=give-where]").focus();
    await page.keyboard.type("shop/staging");
    await card.getByRole("button", { name: "What would follow?" }).focus();
    await page.keyboard.press("Enter");
    await expect(card.getByRole("table")).toContainText("operator (changes)");
    await card.getByRole("button", { name: "Give this role" }).focus();
    await page.keyboard.press("Enter");
    await expect(card.getByRole("list")).toContainText("operator on shop/staging");

    await links.getByRole("button", { name: "Withdraw the link for bert" }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").getByRole("button", { name: "Withdraw it" }).focus();
    await page.keyboard.press("Enter");
    await expect(links).toHaveCount(0);
    await close(context);
  });

  test("a token is bound to what it is for", async ({ browser }) => {
    const { context, page } = await open(browser, "tokens");
    await isLongAgo();
    await page.getByLabel("What it is for").fill("takes back");
    await page.getByRole("checkbox", { name: "rollback" }).check();
    await page.getByRole("button", { name: "Make it" }).click();
    await itIsMe(page);
    const row = page.getByRole("row", { name: /takes back/ });
    await expect(row).toContainText(": rollback");
    await expect(row.locator(".pill")).toHaveText("valid");
    await close(context);
  });

  test("one's own password is changed by keyboard alone: what was wrong stands beside its field, other sessions end", async ({ browser }) => {
    const password = "quite-another-horse";
    const mine = await server.enter(url, data, "carla", "viewer");
    const elsewhere = await fetch(`${url}/session/sign_in`, {
      method: "POST",
      redirect: "manual",
      headers: { origin: url, "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ user: "carla", password: server.PASSWORD }),
    });
    expect(elsewhere.status).toBe(303);
    const context = await browser.newContext();
    await context.addCookies([{ name: "lockstep", value: mine, url, httpOnly: true, sameSite: "Lax" }]);
    const page = await context.newPage();
    const heard = complaints(page, ["422"]);
    await page.goto(`${url}/settings`);
    await expect(page.locator("html[data-hydrated]")).toBeAttached({ timeout: 20_000 });
    const sessions = page.locator("section", { has: page.getByRole("heading", { name: "Your sessions" }) }).locator("tbody tr");
    await expect(sessions).toHaveCount(2);
    const card = page.locator("section", { has: page.getByRole("heading", { name: "Password" }) });
    await expect(card).toContainText("15 characters or more");
    const [now, next, again] = ["password-now", "password-new", "password-again"].map((name) => card.locator(`input[name=${name}]`));
    for (const [field, kind] of [[now, "current-password"], [next, "new-password"], [again, "new-password"]]) {
      await expect(field).toHaveAttribute("autocomplete", kind);
    }
    const type = async (...words) => {
      await now.focus();
      for (const word of words) {
        await page.keyboard.press("ControlOrMeta+a");
        await page.keyboard.type(word);
        await page.keyboard.press("Tab");
      }
      await expect(card.getByRole("button", { name: "Change the password" })).toBeFocused();
      await page.keyboard.press("Enter");
    };
    await type("not-mine-at-all-1", password, `${password}s`);
    await expect(card.locator("#password-again-said")).toHaveText("The two are not the same.");
    await type("not-mine-at-all-1", password, password);
    await expect(card.locator("#password-now-said")).toContainText("is not your password of now");
    await expect(now).toHaveAttribute("aria-invalid", "true");
    await type(server.PASSWORD, "passwordpassword", "passwordpassword");
    await expect(card.locator("#password-new-said")).toContainText("easily guessed");
    await expect(now).not.toHaveAttribute("aria-invalid", "true");
    await type(server.PASSWORD, password, password);
    await expect(page.getByText("Your password is changed; your other session has ended")).toBeVisible();
    await expect(sessions).toHaveCount(1);
    await expect(sessions).toContainText("this one");
    for (const field of [now, next, again]) await expect(field).toHaveValue("");
    expect(heard).toEqual([]);
    await context.close();
  });
});
