import assert from "node:assert/strict";
import { test } from "node:test";
import { expansion, isFull, opened, viewOf, withEntry, withValue, withView } from "./address.js";

const PAGE = "https://portal.example/dataset/x/lineage?depth=2&at=v1";

test("opened sides are kept in their order and taken out again", () => {
  const one = withEntry(PAGE, "expand", opened("upstream", "abc"));
  const two = withEntry(one, "expand", opened("downstream", "xyz"));
  assert.equal(new URL(two).searchParams.get("expand"), "uabc.dxyz");
  assert.equal(withEntry(two, "expand", "uabc"), withEntry(withEntry(PAGE, "expand", "dxyz"), "expand", "uabc"));
  assert.equal(withEntry(withEntry(two, "expand", "uabc", true), "expand", "dxyz", true), PAGE);
});

test("an address does not grow without end", () => {
  let href = PAGE;
  for (let i = 0; i < 200; i++) href = withEntry(href, "expand", `u${String(i).padStart(8, "0")}`);
  assert.ok(isFull(href, "expand"));
  assert.ok(href.length < 2000);
});

test("the picture's place is in the fragment", () => {
  assert.deepEqual(viewOf(withView(PAGE, { x: -10.4, y: 5, k: 0.5 })), { x: -10, y: 5, k: 0.5 });
  assert.equal(viewOf(PAGE), null);
  assert.equal(viewOf(`${PAGE}#view=1,2,x`), null);
});

test("what is opened is asked for as of the page's tag", () => {
  const own = { level: "files", at: "", against: "" };
  const asked = new URL(expansion(PAGE, "/mlops/lineage.json", own, "external:https://x", "upstream")).searchParams;
  assert.deepEqual(Object.fromEntries(asked), { level: "files", at: "v1", id: "external:https://x", direction: "upstream", depth: "1" });
});

test("an empty value leaves the address", () => {
  assert.equal(withValue(withValue(PAGE, "node", "k"), "node", ""), PAGE);
});
