/** Draws places as SVG. Text from the catalog enters by `textContent` and attributes only, never as markup. */
import { NODE, lines, safeHref, shorten } from "./graph.js";

const SVG = "http://www.w3.org/2000/svg";
/** Outlines in a 20 × 20 box: what a node is must not depend on colour alone. */
const ICONS = {
  data: "M3 5c0-3 14-3 14 0v10c0 3-14 3-14 0zM3 5c0 3 14 3 14 0M3 10c0 3 14 3 14 0",
  raw: "M4 2h8l4 4v12H4zM12 2v4h4M7 10h6M7 13h6",
  model: "M10 1.5l7.5 4.3v8.4L10 18.5l-7.5-4.3V5.8zM2.5 5.8L10 10l7.5-4.2M10 10v8.5",
  metrics: "M2 18h16M4.5 18v-6M9 18V4M13 18V9M17 18V6",
  source: "M10 2a8 8 0 1 0 0 16a8 8 0 1 0 0-16M2 10h16M10 2c-5 5-5 11 0 16c5-5 5-11 0-16",
};

/** A new SVG element with attributes and children. */
export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** The icon of a role. */
export function icon(role, attributes = {}) {
  return svg("path", { class: "mlops-lineage-icon", d: ICONS[role] ?? ICONS.data, ...attributes });
}

/** The arrow head, once per drawing; `id` must be unique in the page. */
export function arrowHead(id) {
  const shape = svg("path", { d: "M0 0L8 4L0 8z", class: "mlops-lineage-arrow" });
  const box = { viewBox: "0 0 8 8", refX: 8, refY: 4, markerWidth: 8, markerHeight: 8, markerUnits: "userSpaceOnUse" };
  return svg("defs", {}, svg("marker", { id, orient: "auto", ...box }, shape));
}

/** A line through `points`, smooth in between. */
export function curve(points) {
  const [first, ...rest] = points;
  let path = `M${first.x} ${first.y}`;
  for (let i = 0; i < rest.length - 1; i++) {
    const middle = { x: (rest[i].x + rest[i + 1].x) / 2, y: (rest[i].y + rest[i + 1].y) / 2 };
    const end = i === rest.length - 2 ? rest[i + 1] : middle;
    path += `Q${rest[i].x} ${rest[i].y} ${end.x} ${end.y}`;
  }
  return rest.length === 1 ? `${path}L${rest[0].x} ${rest[0].y}` : path;
}

/** One edge: `{edge, points}` of the layout. */
export function drawEdge({ edge, points }, arrow, words) {
  const classes = `mlops-lineage-edge mlops-lineage-edge-${edge.origin}`;
  const facts = edge.facts.map((fact) => [words.origins[fact.origin] ?? fact.origin, fact.path].filter(Boolean).join(": "));
  const line = svg("path", { class: classes, d: curve(points), "marker-end": `url(#${arrow})` });
  const title = svg("title");
  title.textContent = facts.slice(0, 8).join("\n");
  line.append(title);
  return line;
}

/** One node at its place, as a link that opens its details. */
export function drawNode(node, { x, y }, isFocus, words) {
  const href = safeHref(node.url, location.href);
  const group = svg("a", {
    class: `mlops-lineage-node mlops-lineage-role-${node.role}${isFocus ? " is-focus" : ""}${node.retired ? " is-retired" : ""}`,
    transform: `translate(${x - NODE.width / 2} ${y - NODE.height / 2})`,
    role: "button",
    tabindex: "0",
    "aria-label": [words.roles[node.role] ?? node.role, node.title, secondLine(node, words), isFocus ? words.this : ""]
      .filter(Boolean)
      .join(", "),
  });
  if (href) group.setAttribute("href", href);
  const title = svg("text", { class: "mlops-lineage-title", x: 38, y: 25 });
  title.textContent = shorten(lines(node)[0], 20);
  const second = svg("text", { class: "mlops-lineage-second", x: 38, y: 42 });
  second.textContent = shorten(secondLine(node, words), 24);
  const hint = svg("title");
  hint.textContent = node.title;
  group.append(
    hint,
    svg("rect", { class: "mlops-lineage-box", width: NODE.width, height: NODE.height, rx: node.kind === "external" ? 28 : 6 }),
    icon(node.role, { transform: "translate(10 18)" }),
    title,
    second,
  );
  for (const [side, at] of [["upstream", -12], ["downstream", NODE.width + 3]]) {
    if (!node.more?.[side]) continue;
    const more = svg("text", { class: "mlops-lineage-more", x: at, y: NODE.height / 2 + 4 });
    more.textContent = "…";
    const explained = svg("title");
    explained.textContent = words.goes_on;
    more.append(explained);
    group.append(more);
  }
  return group;
}

function secondLine(node, words) {
  if (node.retired) return `${words.retired} ${node.retired}`;
  return lines(node)[1] || (words.roles[node.role] ?? node.role);
}
