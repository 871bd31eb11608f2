/** Draws places as SVG. Text from the catalog enters by `textContent` and attributes only, never as markup. */
import { NODE, lines, safeHref, shorten } from "./graph.js";

const SVG = "http://www.w3.org/2000/svg";
/** Outlines in a 20 × 20 box: what a node is must not depend on colour alone. */
const ICONS = {
  data: "M3 5c0-3 14-3 14 0v10c0 3-14 3-14 0zM3 5c0 3 14 3 14 0M3 10c0 3 14 3 14 0",
  raw: "M4 2h8l4 4v12H4zM12 2v4h4M7 10h6M7 13h6",
  file: "M4 2h8l4 4v12H4zM12 2v4h4",
  step: "M2 4h9l7 6l-7 6H2l5-6z",
  model: "M10 1.5l7.5 4.3v8.4L10 18.5l-7.5-4.3V5.8zM2.5 5.8L10 10l7.5-4.2M10 10v8.5",
  model_version: "M10 1.5l7.5 4.3v8.4L10 18.5l-7.5-4.3V5.8zM6.5 10l2.5 3l5-6",
  registered_model: "M10 1.5l7.5 4.3v8.4L10 18.5l-7.5-4.3V5.8zM7 14.5V6h3a2 2 0 0 1 0 5H7m3 0l3 3.5",
  logged_model: "M10 1.5l7.5 4.3v8.4L10 18.5l-7.5-4.3V5.8zM8 6v7.5h4.5",
  metrics: "M2 18h16M4.5 18v-6M9 18V4M13 18V9M17 18V6",
  plots: "M2 2v16h16M4 14l4-5l3 3l6-8",
  run: "M8 2h4M9 2v6L3.5 17.5h13L11 8V2M6 13h8",
  source: "M10 2a8 8 0 1 0 0 16a8 8 0 1 0 0-16M2 10h16M10 2c-5 5-5 11 0 16c5-5 5-11 0-16",
};
const CLOCK = "M0-6a6 6 0 1 0 0 12a6 6 0 1 0 0-12M0-3V0.5L2.5 2";
const MARKS = { added: "+", removed: "−", changed: "≠" };
const SIGNS = { open: "+", unfold: "+", fold: "−" };

/** A new SVG element with attributes and children. */
export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function text(name, content, attributes = {}) {
  const element = svg(name, attributes);
  element.textContent = content;
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

/** The classes of an edge's line. */
export function edgeStyle(edge) {
  const change = MARKS[edge.change] ? ` is-${edge.change}` : "";
  return `mlops-lineage-edge mlops-lineage-edge-${edge.origin}${change}`;
}

/** One edge: `{edge, points}` of the layout. */
export function drawEdge({ edge, points }, arrow, words) {
  const facts = edge.facts.map((fact) => [words.origins[fact.origin] ?? fact.origin, fact.path].filter(Boolean).join(": "));
  const line = svg("path", { class: edgeStyle(edge), d: curve(points), "marker-end": `url(#${arrow})` });
  line.append(text("title", facts.slice(0, 8).join("\n")));
  return line;
}

/** One node at its place, as a link that opens its details; `actions` says what its two sides can do. */
export function drawNode(node, { x, y }, isFocus, actions, words) {
  const href = safeHref(node.url, location.href);
  const change = MARKS[node.change] ?? "";
  const states = { "is-focus": isFocus, "is-retired": node.retired, "is-stale": node.stale, [`is-${node.change}`]: change };
  const group = svg("a", {
    class: ["mlops-lineage-node", `mlops-lineage-role-${node.role}`, ...Object.keys(states).filter((each) => states[each])].join(" "),
    transform: `translate(${x - NODE.width / 2} ${y - NODE.height / 2})`,
    role: "button",
    tabindex: "0",
    "data-key": node.key,
    "aria-label": [
      words.roles[node.role] ?? node.role,
      node.title,
      secondLine(node, words),
      isFocus ? words.this : "",
      node.stale ? words.stale : "",
      change ? words.changes[node.change] : "",
    ]
      .filter(Boolean)
      .join(", "),
  });
  if (href) group.setAttribute("href", href);
  group.append(
    text("title", node.title),
    svg("rect", { class: "mlops-lineage-box", width: NODE.width, height: NODE.height, rx: node.kind === "external" ? 28 : 6 }),
    icon(node.role, { transform: "translate(12 18)" }),
    text("text", shorten(lines(node)[0], 19), { class: "mlops-lineage-title", x: 40, y: 25 }),
    text("text", shorten(secondLine(node, words), 24), { class: "mlops-lineage-second", x: 40, y: 42 }),
  );
  if (node.stale) group.append(badge(words.stale, NODE.width - 14, svg("path", { class: "mlops-lineage-clock", d: CLOCK })));
  if (change) group.append(badge(words.changes[node.change], 14, text("text", change, { class: "mlops-lineage-mark", y: 5 })));
  for (const [side, at] of [["upstream", 0], ["downstream", NODE.width]]) {
    if (actions[side]) group.append(handle(side, at, actions[side], words));
  }
  return group;
}

function badge(hint, x, content) {
  const round = svg("circle", { class: "mlops-lineage-badge", r: 9 });
  return svg("g", { transform: `translate(${x} 0)` }, round, content, text("title", hint));
}

/** The button at a node's side; keyboard and screen reader have the same one in the details. */
function handle(side, x, what, words) {
  const group = svg("g", {
    class: `mlops-lineage-handle is-${what}`,
    transform: `translate(${x} ${NODE.height / 2})`,
    "data-side": side,
    "aria-hidden": "true",
  });
  const hint = words[`${what === "fold" ? "hide" : "show"}_${side}`];
  group.append(svg("circle", { r: 9 }), text("text", SIGNS[what], { y: 4.5 }), text("title", hint));
  return group;
}

function secondLine(node, words) {
  if (node.retired) return `${words.retired} ${node.retired}`;
  return lines(node)[1] || (words.roles[node.role] ?? node.role);
}
