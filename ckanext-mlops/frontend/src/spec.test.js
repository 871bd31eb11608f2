import assert from "node:assert/strict";
import { test } from "node:test";

import { ANCHOR, fill, fitted, isVega, tooltip } from "./spec.js";

test("rows take the place of the anchor, wherever it is", () => {
  const rows = [{ a: 1 }];
  assert.deepEqual(fill({ data: { values: ANCHOR }, layer: [{ title: "x" }] }, rows), { data: { values: rows }, layer: [{ title: "x" }] });
});

test("one chart takes the room that there is", () => {
  const spec = fitted({ mark: "line", width: 300, height: 300 }, 700);
  assert.equal(spec.width, 620, "its axis needs some of it");
  assert.equal(spec.height, 300);
  assert.equal(fitted({ mark: "line" }, 200).height, 150);
});

test("a chart for each revision wraps in a narrow window", () => {
  const spec = fitted({ facet: { column: { field: "rev" }, row: {} }, spec: { mark: "rect", width: 300, height: 300 } }, 340);
  assert.deepEqual(spec.facet, { field: "rev" });
  assert.equal(spec.columns, 1);
  assert.equal(spec.spec.width, 250);
});

test("scrolling a page is not zooming its charts, and rows are left alone", () => {
  const rows = [{ bind: "scales", select: "interval" }];
  const spec = fitted({ mark: "line", data: { values: rows }, params: [{ name: "grid", select: "interval", bind: "scales" }] }, 300);
  assert.deepEqual(spec.params[0].select, { type: "interval", zoom: "wheel![event.ctrlKey]" });
  assert.equal(spec.data.values, rows);
});

test("Vega is told from Vega-Lite", () => {
  assert.ok(isVega({ $schema: "https://vega.github.io/schema/vega/v5.json" }));
  assert.ok(!isVega({ $schema: "https://vega.github.io/schema/vega-lite/v5.json" }));
});

test("a tooltip is lines of text", () => {
  assert.equal(tooltip({ rev: "main", loss: 0.5 }), "rev: main\nloss: 0.5");
  assert.equal(tooltip(null), "");
});
