// Steering: a deployment is paused and goes on, a step is left out; locks hold others up and are ended.
const { test, expect } = require("@playwright/test");
const { command, start, as, complaints, open, isLive, fits } = require("../support.js");

test.describe.serial("steering", () => {
  test("pause, look at the steps, resume, end and keep", async ({ browser }) => {
    const context = await as(browser, "operator", { viewport: { width: 360, height: 800 }, hasTouch: true, isMobile: true });
    const page = await context.newPage();
    // One undo comes too late on purpose.
    const heard = complaints(page, ["409"]);
    await open(page, "/deployments");
    await isLive(page);
    const pill = page.locator(".head .pill").first();
    const id = start("--set", "backend=1.5.0");
    await open(page, `/deployments/${id}`);
    // What can be taken back at once asks only why, which may be left out, and offers to undo it.
    const pausing = page.getByRole("button", { name: "Pause", exact: true });
    const pause = async (reason) => {
      await pausing.tap();
      const question = page.getByRole("dialog");
      if (reason) await question.getByLabel(/^Why/).fill(reason);
      await question.getByRole("button", { name: "Pause", exact: true }).tap();
      await expect(pill).toHaveText("Paused");
      await expect(question).toBeHidden();
    };
    await pause();
    await fits(page);
    await page.locator(".toasts").getByRole("button", { name: "Undo" }).tap();
    await expect(pill).toHaveText("Running");
    await pause("the database team asked");
    await expect(page.locator("main .why")).toContainText(/Paused by .*the database team asked/);
    const undo = page.locator(".toasts").getByRole("button", { name: "Undo" }).last();
    await expect(undo).toBeVisible();
    // Somebody else resumed it and paused it anew: that pause is not the one that is taken back.
    command("resume", String(id));
    await expect(pill).not.toHaveText("Paused");
    command("pause", String(id), "--reason", "the disk is full");
    await expect(page.locator("main .why")).toContainText("the disk is full");
    await undo.tap();
    await expect(page.locator(".toasts")).toContainText(/cannot be undone any more.*paused anew by .* ago: the disk is full/);
    await expect(pill).toHaveText("Paused");
    await page.getByRole("button", { name: "Steps…" }).tap();
    await expect(page.getByRole("dialog")).toContainText("Retry makes a new attempt");
    await page.keyboard.press("Escape");
    await expect(page.getByRole("dialog")).toBeHidden();
    await page.getByRole("button", { name: "Resume" }).tap();
    await expect(pill).toHaveText("Succeeded", { timeout: 20_000 });
    const verified = command("history", "verify", String(id));
    expect(verified).toContain("every promise is kept");

    // The watch of the next one is left out before it begins.
    const next = start("--set", "backend=1.6.0");
    // Its turn comes within moments.
    const held = async () => command("pause", String(next), "--reason", "to look at it");
    await expect(held).toPass({ intervals: [20, 20, 50, 100], timeout: 10_000 });
    await open(page, `/deployments/${next}`);
    await page.getByRole("button", { name: "Steps…" }).tap();
    await page.getByRole("button", { name: "Skip backend.watch" }).tap();
    const question = page.getByRole("dialog");
    await expect(question).toContainText("without having been looked at");
    await question.getByRole("button", { name: "Skip the step" }).tap();
    await expect(question.getByRole("alert")).toContainText("Say why");
    await question.getByLabel(/Why/).fill("seen by hand");
    await question.getByRole("button", { name: "Skip the step" }).tap();
    await expect(page.locator("[data-step='backend.watch']")).toHaveAttribute("data-state", "skipped");
    await page.getByRole("button", { name: "Resume" }).tap();
    await expect(pill).toHaveText("Succeeded", { timeout: 20_000 });
    await expect(page.locator("[data-step='backend.watch']")).toHaveAttribute("data-state", "skipped");
    expect(heard).toEqual([]);
    await context.close();
  });

  test("an act is asked for once, says how far it is, and questions begin where nothing is lost", async ({ browser }) => {
    const context = await as(browser, "operator", { viewport: { width: 1280, height: 800 } });
    const page = await context.newPage();
    const heard = complaints(page);
    await open(page, "/deployments");
    await isLive(page);
    const id = start("--set", "backend=1.8.0");
    await open(page, `/deployments/${id}`);
    let asked = 0;
    let answer;
    const gate = new Promise((resolve) => { answer = resolve; });
    await page.route("**/api/v1/deployment/pause", async (route) => {
      asked += 1;
      await gate;
      await route.continue();
    });
    const question = page.getByRole("dialog");
    const pause = page.locator(".head-actions").getByRole("button", { name: /^Paus/ });
    // What can be typed has the focus; Escape leads back.
    await pause.click();
    await expect(question.getByLabel(/^Why/)).toBeFocused();
    await page.keyboard.press("Escape");
    await expect(question).toBeHidden();
    await expect(pause).toBeFocused();
    await pause.click();
    await question.locator("form").evaluate((form) => { form.requestSubmit(); form.requestSubmit(); });
    await expect(pause).toHaveAttribute("aria-busy", "true");
    await expect(pause).toHaveText("Pausing…");
    await expect(page.locator(".trail-of-act")).toHaveText("Pause: requested");
    // Nothing else is done meanwhile, however often it is pressed.
    const cancel = page.locator(".head-actions").getByRole("button", { name: "Cancel", exact: true });
    await expect(cancel).toHaveAttribute("aria-disabled", "true");
    for (const button of [cancel, pause, pause]) await button.dispatchEvent("click");
    await expect(question).toBeHidden();
    answer();
    await expect(page.locator(".head .pill").first()).toHaveText("Paused");
    await expect(page.locator(".trail-of-act")).toHaveText(new RegExp(`^Pause: requested → accepted as event \\d+ of #${id} → paused$`));
    expect(asked).toBe(1);
    // Other buttons stand there now: the one in its place has the focus, and not the page's begin.
    await expect(page.locator(".head-actions").getByRole("button", { name: "Resume" })).toBeFocused();
    // What does harm begins with the button that does nothing.
    await cancel.click();
    await expect(question.getByRole("button", { name: "Do nothing" })).toBeFocused();
    await page.keyboard.press("Enter");
    await expect(question).toBeHidden();
    await expect(cancel).toBeFocused();
    await expect(page.locator(".head .pill").first()).toHaveText("Paused");
    await cancel.click();
    await question.getByRole("button", { name: "Cancel the deployment" }).click();
    await expect(page.locator(".trail-of-act")).toContainText("Cancel: requested → accepted as event");
    await expect(page.locator(".head .pill").first()).toHaveText("Cancelled", { timeout: 30_000 });
    // Nothing is left to be pressed: the heading is what it was about.
    await expect(page.getByRole("heading", { level: 1 })).toBeFocused();
    expect(heard).toEqual([]);
    await context.close();
  });

  test("a lock holds others up, is seen at once, and ended only by who types the name", async ({ browser }) => {
    const [owner, other] = [await as(browser, "deployer"), await as(browser, "operator")];
    const [mine, theirs] = [await owner.newPage(), await other.newPage()];
    const heard = complaints(mine);
    await open(theirs, "/");
    await isLive(theirs);
    await open(mine, "/restrictions");
    await isLive(mine);
    await mine.getByRole("button", { name: "Make it" }).click();
    await expect(mine.locator("#main .complaint, main .complaint").first()).toContainText("Say why");
    await mine.getByLabel(/^Why/).fill("a migration");
    await mine.getByLabel("For").selectOption({ label: "30 minutes" });
    await mine.getByRole("button", { name: "Make it" }).click();
    await expect(mine.getByRole("row", { name: /Lock.*a migration/ })).toBeVisible();
    await expect(theirs.locator(".in-the-way")).toContainText("a migration");
    expect(() => start("--set", "backend=1.7.0")).toThrow(/locked by/);

    await theirs.locator(".in-the-way").click();
    await theirs.getByRole("button", { name: /End the lock/ }).click();
    const dialog = theirs.getByRole("dialog");
    await dialog.getByLabel(/Type/).fill("nowhere");
    await dialog.getByLabel(/Why/).fill("they are asleep");
    await dialog.getByRole("button", { name: "End" }).click();
    await expect(dialog.getByRole("alert")).toContainText("That is not");
    const name = await dialog.locator("code").textContent();
    await dialog.getByLabel(/Type/).fill(name);
    await dialog.getByRole("button", { name: "End" }).click();
    await expect(mine.getByRole("row", { name: /Lock.*a migration/ })).toBeHidden();
    expect(heard).toEqual([]);
    await owner.close();
    await other.close();
  });

  test("what one has just made oneself is ended by one click; where it is gone already, that is said", async ({ browser }) => {
    const context = await as(browser, "operator", { viewport: { width: 1280, height: 800 } });
    const page = await context.newPage();
    const heard = complaints(page, ["409", "404"]);
    await open(page, "/restrictions");
    await isLive(page);
    const toasts = page.locator(".toasts");
    for (const kind of ["Lock", "Freeze", "Hold"]) {
      await page.getByRole("group", { name: "Kind" }).getByRole("button", { name: kind }).click();
      if (kind === "Hold") {
        await page.getByLabel("Service", { exact: true }).fill("backend");
        await page.getByLabel("Version", { exact: true }).fill("9.9.9");
      }
      await page.getByLabel(/^Why/).fill(`a slip of the hand: ${kind}`);
      await page.getByRole("button", { name: "Make it" }).click();
      const row = page.getByRole("row", { name: new RegExp(`${kind}.*a slip of the hand`) });
      await expect(row).toBeVisible();
      await toasts.getByRole("button", { name: "Undo" }).last().click();
      await expect(row).toBeHidden();
    }
    await page.getByRole("group", { name: "Kind" }).getByRole("button", { name: "Freeze" }).click();
    await page.getByLabel("Service (empty: all)").fill("");
    await page.getByLabel(/^Why/).fill("too late to undo");
    await page.getByRole("button", { name: "Make it" }).click();
    const row = page.getByRole("row", { name: /Freeze.*too late to undo/ });
    await expect(row).toBeVisible();
    const made = JSON.parse(command("freeze", "list", "--json")).restrictions.find((one) => one.reason === "too late to undo");
    command("freeze", "end", String(made.id), "--reason", "somebody else was faster");
    await expect(row).toBeHidden();
    await toasts.getByRole("button", { name: "Undo" }).last().click();
    await expect(toasts).toContainText("cannot be undone any more");
    expect(heard).toEqual([]);
    await context.close();
  });

  test("who may only look sees why, and makes nothing", async ({ browser }) => {
    const context = await as(browser, "viewer");
    const page = await context.newPage();
    await open(page, "/restrictions");
    await expect(page.getByRole("button", { name: "Make it" })).toHaveAttribute("aria-disabled", "true");
    await page.getByLabel(/^Why/).fill("mine");
    await page.getByLabel(/^Why/).press("Enter");
    await expect(page.locator("main .complaint").first()).toContainText(/role|may/);
    await context.close();
  });
});
