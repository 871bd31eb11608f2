/** The shown graph as nodes and drawn edges, and their places from left to right. */
import * as dagre from "@dagrejs/dagre";

export const NODE = { width: 196, height: 56 };
const GAP = { x: 70, y: 18 };
const MANY_EDGES = 200;
const STRENGTH = { harvested: 0, inferred: 1, asserted: 2 };

/** One drawn edge per pair of nodes: `{upstream, downstream, origin, change, facts}`; the strongest origin gives the style. */
export function joinEdges(edges) {
  const pairs = new Map();
  for (const edge of edges) {
    const key = JSON.stringify([edge.upstream, edge.downstream]);
    if (!pairs.has(key)) {
      const { upstream, downstream, origin, change = "" } = edge;
      pairs.set(key, { upstream, downstream, origin, change, facts: [] });
    }
    const pair = pairs.get(key);
    pair.facts.push(edge);
    if ((STRENGTH[edge.origin] ?? 9) < (STRENGTH[pair.origin] ?? 9)) pair.origin = edge.origin;
    if (edge.change && edge.change !== pair.change) pair.change = "changed";
  }
  return [...pairs.values()];
}

/** Places: `{nodes: Map(id → {x, y}), edges: [{edge, points}], box}`; x and y are centres, in pixels. */
export function place(nodes, edges) {
  const layered = new dagre.graphlib.Graph({ multigraph: false });
  const ranker = edges.length > MANY_EDGES ? "tight-tree" : "network-simplex"; // the better one takes thrice as long
  layered.setGraph({ rankdir: "LR", ranker, nodesep: GAP.y, ranksep: 52, edgesep: 8, marginx: 22, marginy: 12 });
  layered.setDefaultEdgeLabel(() => ({}));
  for (const node of nodes) layered.setNode(node.id, { ...NODE });
  for (const edge of edges) layered.setEdge(edge.upstream, edge.downstream, { edge });
  dagre.layout(layered);
  const size = layered.graph();
  return {
    nodes: new Map(nodes.map((node) => [node.id, layered.node(node.id)])),
    edges: layered.edges().map((key) => layered.edge(key)),
    box: { x: 0, y: 0, width: size.width, height: size.height },
  };
}

/**
 * Places in which the nodes that are there already stay where they are, and new ones stand in a column beside the node
 * `id`, in the nearest gap. For large graphs: placing all anew takes seconds, and nobody finds anything again.
 */
export function placeBeside(places, id, side, nodes, edges) {
  const anchor = places.nodes.get(id);
  const step = NODE.width + GAP.x;
  const known = new Map(places.nodes);
  const fresh = nodes.filter((node) => !known.has(node.id));
  const column = side === "upstream" ? anchor.x - step : anchor.x + step;
  const taken = [...known.values()].filter(({ x }) => Math.abs(x - column) < NODE.width + 8).map(({ y }) => y);
  const top = gap(taken, fresh.length, anchor.y);
  fresh.forEach((node, index) => known.set(node.id, { x: column, y: top + index * (NODE.height + GAP.y) }));
  const shown = new Map(nodes.map((node) => [node.id, known.get(node.id)]));
  const routes = new Map(places.edges.map((each) => [JSON.stringify([each.edge.upstream, each.edge.downstream]), each.points]));
  return {
    nodes: shown,
    edges: edges.map((edge) => ({
      edge,
      points: routes.get(JSON.stringify([edge.upstream, edge.downstream])) ?? between(shown.get(edge.upstream), shown.get(edge.downstream)),
    })),
    box: around([...shown.values()]),
  };
}

/** The top of `count` nodes in a column where `taken` has the others, as near to `middle` as they fit. */
function gap(taken, count, middle) {
  const pitch = NODE.height + GAP.y;
  const ideal = middle - ((count - 1) * pitch) / 2;
  const fits = (top) => taken.every((y) => y <= top - pitch + 0.5 || y >= top + count * pitch - 0.5);
  const candidates = [ideal, ...taken.flatMap((y) => [y + pitch, y - count * pitch])];
  candidates.sort((one, other) => Math.abs(one - ideal) - Math.abs(other - ideal));
  return candidates.find(fits) ?? ideal;
}

function between(from, to) {
  const start = { x: from.x + NODE.width / 2, y: from.y };
  const end = { x: to.x - NODE.width / 2, y: to.y };
  const middle = (start.x + end.x) / 2;
  return [start, { x: middle, y: start.y }, { x: middle, y: end.y }, end];
}

function around(points) {
  const box = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
  for (const { x, y } of points) {
    box.left = Math.min(box.left, x - NODE.width / 2 - 22);
    box.right = Math.max(box.right, x + NODE.width / 2 + 22);
    box.top = Math.min(box.top, y - NODE.height / 2 - 12);
    box.bottom = Math.max(box.bottom, y + NODE.height / 2 + 12);
  }
  return { x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top };
}

/**
 * The two lines of a node: `[name, place]`. Harvested titles are "project: step", and what tells the nodes of a project
 * apart must not be what is cut off. Of a path, the end tells most.
 */
export function lines(node) {
  if (node.kind === "run") return [node.title, node.experiment || node.name];
  if (node.aliases?.length) return [node.title, node.aliases.map((alias) => `@${alias}`).join(" ")];
  const [, project, step] = /^(.+): (.+)$/s.exec(node.title) ?? [];
  if (step) return [step, project];
  if (node.path && node.path === node.title && node.path.includes("/")) {
    const cut = node.path.lastIndexOf("/", node.path.length - 2);
    return [node.path.slice(cut + 1), node.path.slice(0, cut + 1)];
  }
  return [node.title, node.stage || (node.title === node.name ? "" : node.name)];
}

/** `text` in at most `length` characters, whole code points only. */
export function shorten(text, length) {
  const characters = [...String(text)];
  return characters.length <= length ? String(text) : characters.slice(0, length - 1).join("").trimEnd() + "…";
}

/** Whether a node has `text` in its title, path, step, command or hash. */
export function matches(node, text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return false;
  return [node.title, node.name, node.path, node.stage, node.command, node.hash, node.commit].some(
    (each) => typeof each === "string" && each.toLowerCase().includes(wanted),
  );
}

/** `address` if it may become a link (this site, http or https), else "". */
export function safeHref(address, base) {
  if (!address) return "";
  try {
    const url = new URL(address, base);
    return url.protocol === "http:" || url.protocol === "https:" ? url.href : "";
  } catch {
    return "";
  }
}
