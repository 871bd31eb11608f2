/** The details of one node, beside the drawing. */
import { safeHref } from "./graph.js";

const FACTS_SHOWN = 6;

/** A new HTML element; strings among `children` become text. */
export function html(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** The panel's content for `node`; `edges` are the joined ones, `byId` finds a node, `close` closes it. */
export function details(node, edges, byId, words, close) {
  const button = html("button", { type: "button", class: "btn-close", "aria-label": words.close });
  button.addEventListener("click", close);
  const heading = html("h3", { dir: "auto" }, node.title);
  const list = html("dl");
  const fact = (label, value, code = true) => {
    if (value === "" || value === undefined || value === null) return;
    list.append(html("dt", {}, label), html("dd", {}, code ? html("code", {}, String(value)) : String(value)));
  };
  fact(words.stage, node.stage);
  fact(words.command, node.command);
  fact(words.revision, node.revision);
  fact(words.commit, node.commit?.slice(0, 12));
  fact(words.retired, node.retired, false);
  fact(words.files, node.files || "", false);
  if (node.kind === "external") fact(words.address, node.name);
  const content = [button, kindLine(node, words), heading, links(node, words), list];
  const incoming = edges.filter((edge) => edge.downstream === node.id);
  const outgoing = edges.filter((edge) => edge.upstream === node.id);
  if (incoming.length) content.push(html("h4", {}, words.inputs), neighbours(incoming, "upstream", byId, words));
  if (outgoing.length) content.push(html("h4", {}, words.outputs), neighbours(outgoing, "downstream", byId, words));
  return content;
}

function kindLine(node, words) {
  const marks = [words.roles[node.role] ?? node.role];
  if (node.private) marks.push(words.private);
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
  } else {
    add(node.url, words.open);
    add(node.lineage_url, words.open_lineage);
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
      line.append(` · ${words.seen} ${fact.last_seen.slice(0, 10)}`);
      item.append(line);
    }
    list.append(item);
  }
  if (edges.length > FACTS_SHOWN) list.append(html("li", {}, words.more.replace("{n}", edges.length - FACTS_SHOWN)));
  return list;
}
