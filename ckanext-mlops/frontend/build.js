/**
 * Bundles what src/ has for browsers into ../ckanext/mlops/assets and writes the licences of what is in it beside it:
 * the lineage graph, the frame that draws plots with Vega, and the field that files are uploaded with.
 */
import { readFile, readdir, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const ASSETS = new URL("../ckanext/mlops/assets/", import.meta.url);

for (const [name, entry, alias] of [
  ["lineage", "src/index.js", {}],
  // Vega-Lite takes three small functions from the whole of Vega; they are vega-util's.
  ["plots_frame", "src/plots.js", { vega: "vega-util" }],
  ["upload", "src/upload.js", {}],
]) {
  const result = await build({
    entryPoints: [entry],
    alias,
    bundle: true,
    minify: true,
    format: "iife",
    target: "es2020",
    legalComments: "none",
    metafile: true,
    outfile: new URL(`${name}.js`, ASSETS).pathname,
    banner: { js: `/* Built from ckanext-mlops/frontend by \`npm run build\`; licences: ${name}.licenses.txt */` },
  });
  const packages = new Set(
    Object.keys(result.metafile.inputs)
      .map((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1])
      .filter(Boolean),
  );
  const texts = [];
  for (const each of [...packages].sort()) {
    const folder = new URL(`node_modules/${each}/`, import.meta.url);
    const { version, license } = JSON.parse(await readFile(new URL("package.json", folder), "utf8"));
    const file = (await readdir(folder)).find((one) => /^licen[cs]e/i.test(one));
    if (!file) throw new Error(`${each} ${version}: no licence file in ${folder.pathname}; find its text before bundling it`);
    texts.push(`${each} ${version} (${license})\n\n${(await readFile(new URL(file, folder), "utf8")).trim()}\n`);
  }
  await writeFile(new URL(`${name}.licenses.txt`, ASSETS), texts.join(`\n${"-".repeat(80)}\n\n`));
  const bytes = await readFile(new URL(`${name}.js`, ASSETS));
  const [whole, sent] = [bytes, gzipSync(bytes, { level: 9 })].map(({ length }) => (length / 1024).toFixed(1));
  console.log(`${name}.js: ${whole} KiB, ${sent} KiB compressed, from ${packages.size} packages`);
}
