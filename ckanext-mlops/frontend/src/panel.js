/** The details of one node, beside the drawing. */
import { safeHref } from "./graph.js";

const FACTS_SHOWN = 6;
const VALUES_SHOWN = 20;

/** A new HTML element; strings among `children` become text. */
export function html(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/**
 * The panel's content for `node`; `edges` are the joined ones, `byId` finds a node, `acts` are the buttons of its sides as
 * `{label, run}`, `close` closes the panel.
 */
export function details(node, { edges, byId, words, acts, close }) {
  const button = html("button", { type: "button", class: "btn-close", "aria-label": words.close });
  button.addEventListener("click", close);
  const heading = html("h3", { dir: "auto" }, node.title);
  const content = [button, kindLine(node, words), heading, links(node, words)];
  if (acts.length) content.push(buttons(acts));
  content.push(...newer(node, words), facts(node, words), ...differences(node, words));
  for (const [label, end, other] of [[words.inputs, "upstream", "downstream"], [words.outputs, "downstream", "upstream"]]) {
    const beside = edges.filter((edge) => edge[other] === node.id && byId.has(edge[end]));
    if (beside.length) content.push(html("h4", {}, label), neighbours(beside, end, byId, words));
  }
  return content;
}

function facts(node, words) {
  const list = html("dl");
  const fact = (label, value, code = true) => {
    if (value === "" || value === undefined || value === null) return;
    list.append(html("dt", {}, label), html("dd", {}, code ? html("code", {}, String(value)) : String(value)));
  };
  if (node.kind !== "dataset") fact(words.dataset, node.dataset_title, false);
  fact(words.stage, node.stage);
  fact(words.path, node.path);
  fact(words.command, node.command);
  fact(words.revision, node.revision);
  fact(words.commit, node.commit?.slice(0, 12));
  fact(words.hash, node.hash);
  fact(words.size, typeof node.size === "number" ? bytes(node.size) : "", false);
  fact(words.retired, node.retired, false);
  if (node.kind === "dataset") fact(words.files, node.files || "", false);
  if (node.kind === "external") fact(words.address, node.name);
  fact(words.experiment, node.experiment, false);
  fact(words.status, node.status, false);
  fact(words.aliases, node.aliases?.join(", "), false);
  fact(words.params, values(node.params, words));
  fact(words.metrics, values(node.metrics, words));
  return list;
}

function values(given, words) {
  const entries = Object.entries(given ?? {});
  const shown = entries.slice(0, VALUES_SHOWN).map(([name, value]) => `${name} = ${plain(value)}`);
  if (entries.length > shown.length) shown.push(words.more.replace("{n}", entries.length - shown.length));
  return shown.join("\n");
}

/** A value as text. */
export function plain(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** A number of bytes for people. */
export function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  const power = Math.min(units.length - 1, count > 0 ? Math.floor(Math.log2(count) / 10) : 0);
  return `${Number((count / 1024 ** power).toPrecision(3))} ${units[power]}`;
}

/** The inputs that are newer than what was made from them. */
function newer(node, words) {
  if (!node.stale) return [];
  const inputs = Array.isArray(node.stale) ? node.stale.map(({ title, path }) => (path ? `${title} (${path})` : title)) : [];
  return [html("p", { class: "mlops-lineage-stale" }, [words.stale, inputs.join(", ")].filter(Boolean).join(": "))];
}

function differences(node, words) {
  if (!node.differences?.length) return [];
  const list = html("ul");
  for (const { what, name, before, after } of node.differences.slice(0, VALUES_SHOWN)) {
    const values = html("code", {}, `${plain(before ?? null)} → ${plain(after ?? null)}`);
    list.append(html("li", {}, `${words.kinds_of_change[what] ?? what} ${name ?? ""} `, values));
  }
  return [html("h4", {}, words.changed), list];
}

function buttons(acts) {
  const paragraph = html("p", { class: "mlops-lineage-acts" });
  for (const { label, run } of acts) {
    const button = html("button", { type: "button", class: "btn btn-secondary btn-sm" }, label);
    button.addEventListener("click", run);
    paragraph.append(button, " ");
  }
  return paragraph;
}

function kindLine(node, words) {
  const marks = [words.roles[node.role] ?? node.role];
  if (node.private) marks.push(words.private);
  if (node.change && node.change !== "same") marks.push(words.changes[node.change] ?? node.change);
  return html("p", { class: "mlops-lineage-meta" }, marks.join(" · "));
}

function links(node, words) {
  const paragraph = html("p", { class: "mlops-lineage-links" });
  const add = (address, label, attributes = {}) => {
    const href = safeHref(address, location.href);
    if (href) paragraph.append(html("a", { href, ...attributes }, label), " ");
  };
  if (node.kind === "external") {
    add(node.url, words.open_source, { rel: "nofollow noopener" });
  } else if (node.server) {
    add(node.model_url, words.open_model);
    add(node.url, words.open_run, { rel: "nofollow noopener" });
  } else {
    add(node.url, node.resource ? words.open_file : words.open);
    add(node.lineage_url, words.open_lineage);
    add(node.version_url, words.open_version);
  }
  return paragraph;
}

function neighbours(edges, end, byId, words) {
  const list = html("ul");
  for (const edge of edges.slice(0, FACTS_SHOWN)) {
    const item = html("li", {}, html("span", { dir: "auto" }, byId.get(edge[end]).title));
    for (const fact of edge.facts.slice(0, FACTS_SHOWN)) {
      const line = html("span", { class: "mlops-lineage-meta" });
      const origin = html("span", { title: words.origin_hints[fact.origin] ?? "" }, words.origins[fact.origin] ?? fact.origin);
      line.append(origin);
      if (fact.path) line.append(" · ", html("code", {}, fact.path));
      if (fact.hash) line.append(" ", html("code", { title: fact.hash }, fact.hash.slice(0, 8)));
      if (fact.last_seen) line.append(` · ${words.seen} ${fact.last_seen.slice(0, 10)}`);
      item.append(line);
    }
    list.append(item);
  }
  if (edges.length > FACTS_SHOWN) list.append(html("li", {}, words.more.replace("{n}", edges.length - FACTS_SHOWN)));
  return list;
}
