import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { test } from "node:test";
import { md5 } from "./md5.js";

test("a file of several parts has the MD5 that others compute", async () => {
  const data = randomBytes(9 * 1024 * 1024 + 3);
  const told = [];
  const found = await md5(new Blob([data]), (done) => told.push(done) > 0);
  assert.equal(found, createHash("md5").update(data).digest("hex"));
  assert.equal(told.at(-1), data.length);
});

test("an empty file has the MD5 of nothing", async () => {
  assert.equal(await md5(new Blob([]), () => true), "d41d8cd98f00b204e9800998ecf8427e");
});

test("a file that was replaced by another is not read to its end", async () => {
  assert.equal(await md5(new Blob([new Uint8Array(5_000_000)]), (done) => done === 0), null);
});
