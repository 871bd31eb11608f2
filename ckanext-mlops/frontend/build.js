/** Bundles src/ into ../ckanext/mlops/assets/lineage.js and writes the licences of what is in it beside it. */
import { readFile, readdir, writeFile } from "node:fs/promises";
import { build } from "esbuild";

const ASSETS = new URL("../ckanext/mlops/assets/", import.meta.url);

const result = await build({
  entryPoints: ["src/index.js"],
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2020",
  legalComments: "none",
  metafile: true,
  outfile: new URL("lineage.js", ASSETS).pathname,
  banner: { js: "/* Built from ckanext-mlops/frontend by `npm run build`; licences: lineage.licenses.txt */" },
});

const packages = new Set(
  Object.keys(result.metafile.inputs)
    .map((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1])
    .filter(Boolean),
);
const texts = [];
for (const name of [...packages].sort()) {
  const folder = new URL(`node_modules/${name}/`, import.meta.url);
  const { version, license } = JSON.parse(await readFile(new URL("package.json", folder), "utf8"));
  const file = (await readdir(folder)).find((each) => /^licen[cs]e/i.test(each));
  if (!file) throw new Error(`${name} ${version}: no licence file in ${folder.pathname}; find its text before bundling it`);
  texts.push(`${name} ${version} (${license})\n\n${(await readFile(new URL(file, folder), "utf8")).trim()}\n`);
}
await writeFile(new URL("lineage.licenses.txt", ASSETS), texts.join(`\n${"-".repeat(80)}\n\n`));
const [output] = Object.values(result.metafile.outputs);
console.log(`lineage.js: ${(output.bytes / 1024).toFixed(1)} KiB from ${packages.size} packages`);
