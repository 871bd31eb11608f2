import assert from "node:assert/strict";
import { test } from "node:test";
import { NODE, joinEdges, lines, matches, place, placeBeside, safeHref, shorten } from "./graph.js";

const edge = (upstream, downstream, origin = "harvested") => ({ upstream, downstream, origin });

test("edges between two nodes are drawn once, in the style of the strongest origin", () => {
  const joined = joinEdges([edge("a", "b", "asserted"), edge("a", "b"), edge("b", "a", "inferred")]);
  assert.deepEqual(joined.map(({ origin, facts }) => [origin, facts.length]), [["harvested", 2], ["inferred", 1]]);
});

test("what something was made from is left of it", () => {
  const nodes = ["a", "b", "c"].map((id) => ({ id }));
  const { nodes: places, edges } = place(nodes, joinEdges([edge("a", "b"), edge("b", "c"), edge("a", "c")]));
  assert.ok(places.get("a").x < places.get("b").x && places.get("b").x < places.get("c").x);
  assert.equal(edges.length, 3);
});

test("cycles and self-loops have places", () => {
  const { nodes, edges } = place([{ id: "a" }, { id: "b" }], joinEdges([edge("a", "b"), edge("b", "a"), edge("a", "a")]));
  for (const { x, y } of nodes.values()) assert.ok(Number.isFinite(x) && Number.isFinite(y));
  assert.ok(edges.every(({ points }) => points.length > 1));
});

test("only web addresses and this site become links", () => {
  const base = "https://portal.example/dataset/x";
  assert.equal(safeHref("/dataset/y", base), "https://portal.example/dataset/y");
  assert.equal(safeHref("https://data.example/1", base), "https://data.example/1");
  for (const bad of ["javascript:alert(1)", " JavaScript:alert(1)", "data:text/html,x", "file:///etc/passwd", "http://[", ""]) {
    assert.equal(safeHref(bad, base), "");
  }
});

test("titles are cut between code points", () => {
  assert.equal(shorten("titanic", 7), "titanic");
  assert.equal(shorten("titanic", 4), "tit…");
  assert.equal(shorten("🚢🚢🚢", 2), "🚢…");
});

test("a node's first line is what tells it apart", () => {
  assert.deepEqual(lines({ title: "Titanic: train", name: "titanic-train", stage: "train" }), ["train", "Titanic"]);
  assert.deepEqual(lines({ title: "Passengers", name: "passengers", stage: "fetch" }), ["Passengers", "fetch"]);
  assert.deepEqual(lines({ title: "passengers", name: "passengers" }), ["passengers", ""]);
});

test("what is opened in a large graph stands beside its node, where nothing else is", () => {
  const nodes = ["a", "b", "c"].map((id) => ({ id }));
  const before = place(nodes, joinEdges([edge("a", "b"), edge("a", "c")]));
  const fresh = [...nodes, { id: "d" }, { id: "e" }];
  const edges = joinEdges([edge("a", "b"), edge("a", "c"), edge("a", "d"), edge("a", "e")]);
  const { nodes: after, box } = placeBeside(before, "a", "downstream", fresh, edges);
  for (const { id } of nodes) assert.deepEqual(after.get(id), before.nodes.get(id));
  const ys = ["b", "c", "d", "e"].map((id) => after.get(id).y).sort((one, other) => one - other);
  for (let i = 1; i < ys.length; i++) assert.ok(ys[i] - ys[i - 1] >= NODE.height);
  for (const { x, y } of after.values()) assert.ok(x > box.x && x < box.x + box.width && y > box.y && y < box.y + box.height);
});

test("of a path, the end comes first", () => {
  assert.deepEqual(lines({ title: "data/raw/a.csv", path: "data/raw/a.csv", name: "x" }), ["a.csv", "data/raw/"]);
  assert.deepEqual(lines({ title: "data/images/", path: "data/images/", name: "x" }), ["images/", "data/"]);
});

test("nodes are found by name, path and hash", () => {
  assert.ok(matches({ title: "Titanic: train" }, "TRAIN"));
  assert.ok(matches({ title: "x", hash: "abcdef" }, "bcd"));
  assert.ok(!matches({ title: "x" }, " "));
});
