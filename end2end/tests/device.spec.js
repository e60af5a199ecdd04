// `lockstep login`: a command shows a code, somebody looks at the page and lets it in or not.
const { test, expect } = require("@playwright/test");
const { AxeBuilder } = require("@axe-core/playwright");
const { spawn } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { complaints, enter, fits, url } = require("../support.js");

test.describe.serial("signing a command in", () => {
  let home, cookie;
  const running = new Set();

  test.beforeAll(async () => {
    home = fs.mkdtempSync(path.join(os.tmpdir(), "lockstep-login-"));
    cookie = await enter(url(), process.env.LOCKSTEP_DATA_DIR, "e2e-login", "viewer");
  });

  test.afterAll(() => {
    for (const child of running) child.kill();
    fs.rmSync(home, { recursive: true, force: true });
  });

  // A command as on another machine: it has nothing but the address.
  function lockstep(...args) {
    const child = spawn(process.env.LOCKSTEP_PROGRAM, args, {
      env: { PATH: process.env.PATH, XDG_CONFIG_HOME: home },
      stdio: ["ignore", "pipe", "pipe"],
    });
    running.add(child);
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => { said += text; });
    const ended = new Promise((resolve) => child.on("close", (code) => { running.delete(child); resolve(code); }));
    return { ended, said: () => said };
  }

  async function login() {
    const command = lockstep("login", url());
    await expect.poll(command.said).toMatch(/the code \S+/);
    const said = command.said();
    return { ...command, address: said.match(/Open (\S+)/)[1], code: said.match(/the code (\S+)/)[1] };
  }

  async function phone(browser) {
    const context = await browser.newContext({ viewport: { width: 360, height: 740 } });
    await context.addCookies([{ name: "lockstep", value: cookie, url: url(), httpOnly: true, sameSite: "Lax" }]);
    const page = await context.newPage();
    return { context, page, heard: complaints(page) };
  }

  test("who opens the address sees what asks, lets it in, and the command is signed in", async ({ browser }) => {
    const command = await login();
    const { context, page, heard } = await phone(browser);
    await page.goto(command.address);
    await expect(page.getByText(command.code, { exact: true })).toBeVisible();
    await expect(page.getByText("wants to sign in as e2e-login")).toBeVisible();
    await fits(page);
    expect((await new AxeBuilder({ page }).analyze()).violations.map((one) => one.id)).toEqual([]);
    await page.getByRole("button", { name: "Sign it in" }).click();
    await expect(page.getByRole("status")).toContainText("It is signed in");
    expect(await command.ended, command.said()).toBe(0);
    expect(command.said()).toContain("e2e-login");
    // Once is enough: the code opens nothing any more.
    await page.goto(command.address);
    await expect(page.getByRole("alert")).toContainText("Nothing waits under this code");
    expect(heard).toEqual([]);
    await context.close();
    const out = lockstep("logout");
    expect(await out.ended, out.said()).toBe(0);
  });

  test("a typed code is found, and what nobody asked for is refused", async ({ browser }) => {
    const command = await login();
    const { context, page } = await phone(browser);
    await page.goto(`${url()}/device`);
    await page.getByLabel(/The code that/).fill("WRNG-CODE");
    await page.keyboard.press("Enter");
    await expect(page.getByRole("alert")).toContainText("mistyped");
    await page.getByLabel(/The code that/).fill(command.code.toLowerCase());
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "It was not me" }).click();
    await expect(page.getByRole("status")).toContainText("It is not signed in");
    expect(await command.ended, command.said()).toBe(2);
    expect(command.said()).toContain("denied");
    await context.close();
  });

  test("who is not signed in does so first and is back at the code", async ({ browser }) => {
    const command = await login();
    const page = await browser.newPage();
    await page.goto(command.address);
    await expect(page).toHaveURL(/\/login\?next=/);
    await page.getByLabel("Name").fill("e2e-login");
    await page.getByLabel("Password").fill("correct-horse-battery");
    await page.getByRole("button", { name: "Sign in" }).click();
    await expect(page.getByText(command.code, { exact: true })).toBeVisible();
    await page.getByRole("button", { name: "It was not me" }).click();
    expect(await command.ended).toBe(2);
    await page.close();
  });
});
