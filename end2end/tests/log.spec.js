// The output of steps: a hundred thousand lines stay light, and every one of them can be found,
// linked to and read.
const { test, expect } = require("@playwright/test");
const fs = require("node:fs");
const path = require("node:path");
const { url, command, as, complaints, open } = require("../support.js");

const LINES = 100_000;
const MANIFEST = `version: 1
project: talk
default_environment: local
environments: {local: {}}
watch: 0s
services:
  talker:
    version: "1"
    target:
      type: command
      deploy: ["sh", "-c", "seq -f 'line %.0f of much output' ${LINES}; printf '\\\\033[31mERROR\\\\033[0m <b>pool</b> timed out\\\\n'"]
`;

test("a hundred thousand lines are searched, linked to and followed", async ({ browser }) => {
  test.setTimeout(120_000);
  const file = path.join(process.env.LOCKSTEP_DATA_DIR, "..", "talk.yaml");
  fs.writeFileSync(file, MANIFEST);
  command("deploy", "-f", file, "--project", "talk", "--accept-no-rollback", "--wait");
  const { id } = JSON.parse(command("history", "--project", "talk", "--json")).deployments[0];
  const context = await as(browser, "viewer");
  const page = await context.newPage();
  const heard = complaints(page);
  await open(page, `/deployments/${id}`);
  const log = page.getByRole("region", { name: "Output of the steps" });
  // The end is there first, in its colours and as text.
  await expect(log.locator(".log-error")).toContainText("ERROR <b>pool</b> timed out");
  await expect(log.locator(".ansi-red")).toHaveText("ERROR");
  await page.getByRole("button", { name: "Load all" }).click();
  await expect(page.getByText("earlier lines")).toBeHidden({ timeout: 60_000 });
  const rows = () => log.locator(".log-line").count();
  expect(await rows()).toBeLessThan(400);
  await page.getByLabel("Search the log").fill("line 77777 of");
  await expect(page.getByText("1 of 1")).toBeVisible();
  await page.getByLabel("Search the log").press("Enter");
  const found = log.locator(".log-line", { hasText: "line 77777 of" });
  await expect(found).toBeVisible();
  expect(await rows()).toBeLessThan(400);
  // A link to it leads there, also in a tab that has only the end.
  await found.getByRole("link").click();
  await expect(page).toHaveURL(/l=\d+/);
  const other = await context.newPage();
  await open(other, page.url().replace(url(), "").replace(/log=[^&]*&?/, ""));
  await expect(other.locator(".log-here")).toContainText("line 77777 of", { timeout: 30_000 });
  // The whole of it, as text.
  const text = await (await context.request.get(`${url()}/deployments/${id}/log.txt`)).text();
  expect(text.trim().split("\n")).toHaveLength(LINES + 1);
  expect(heard).toEqual([]);
  await context.close();
});
