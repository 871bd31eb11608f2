import assert from "node:assert/strict";
import { test } from "node:test";
import { Store, action } from "./store.js";

const node = (id, distance = 1, more = {}) => ({ id, key: id, distance, more: { upstream: false, downstream: false, ...more }, folded: [] });
const edge = (upstream, downstream) => ({ upstream, downstream, origin: "harvested", path: "" });
const chain = () =>
  new Store({
    focus: "c",
    nodes: [node("b", 1, { upstream: true }), node("c", 0), node("d")],
    edges: [edge("b", "c"), edge("c", "d")],
  });
const ids = (store) => store.shown().nodes.map(({ id }) => id).sort().join("");

test("what was opened is added once, and its node has no more on that side", () => {
  const store = chain();
  const found = { nodes: [node("a", 1, { upstream: true }), node("b", 0)], edges: [edge("a", "b"), edge("a", "b")] };
  assert.deepEqual(store.merge(store.nodes.get("b"), "upstream", found).map(({ id }) => id), ["a"]);
  store.merge(store.nodes.get("b"), "upstream", found);
  assert.equal(ids(store), "abcd");
  assert.equal(store.shown().edges.length, 3);
  assert.equal(store.nodes.get("b").more.upstream, false);
  assert.equal(store.nodes.get("a").more.upstream, true);
});

test("what was closed is left out with all that only it leads to, and comes back", () => {
  const store = chain();
  store.fold("c", "upstream");
  assert.equal(ids(store), "cd");
  assert.equal(store.shown().edges.length, 1);
  store.unfold("c", "upstream");
  assert.equal(ids(store), "bcd");
});

test("a node that another way leads to stays when one is closed", () => {
  const nodes = ["a", "b", "c", "d"].map((id) => node(id, id === "d" ? 0 : 1));
  const store = new Store({ focus: "d", nodes, edges: [edge("a", "b"), edge("a", "c"), edge("b", "d"), edge("c", "d")] });
  store.fold("b", "upstream");
  assert.equal(ids(store), "abcd");
  assert.equal(store.shown().edges.length, 3);
});

test("a repository begins at all its datasets", () => {
  const store = new Store({ focus: "", starts: ["a", "b"], nodes: [node("a", 0), node("b", 0), node("x")], edges: [edge("x", "a")] });
  assert.equal(ids(store), "abx");
  store.fold("a", "upstream");
  assert.equal(ids(store), "ab");
});

test("a side can be opened, closed, or nothing", () => {
  const store = chain();
  assert.equal(action(store, store.nodes.get("b"), "upstream", false), "open");
  assert.equal(action(store, store.nodes.get("c"), "upstream", true), "fold");
  assert.equal(action(store, store.nodes.get("d"), "downstream", false), "");
  store.fold("c", "upstream");
  assert.equal(action(store, store.nodes.get("c"), "upstream", false), "unfold");
});
