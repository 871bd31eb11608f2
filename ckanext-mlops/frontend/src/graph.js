/** The graph of `mlops_lineage_show` as nodes and drawn edges, and their places from left to right. */
import * as dagre from "@dagrejs/dagre";

export const NODE = { width: 184, height: 56 };
const MANY_EDGES = 200;
const STRENGTH = { harvested: 0, inferred: 1, asserted: 2 };

/** One drawn edge per pair of nodes: `{upstream, downstream, origin, facts}`; the strongest origin gives the style. */
export function joinEdges(edges) {
  const pairs = new Map();
  for (const edge of edges) {
    const key = JSON.stringify([edge.upstream, edge.downstream]);
    if (!pairs.has(key)) {
      pairs.set(key, { upstream: edge.upstream, downstream: edge.downstream, origin: edge.origin, facts: [] });
    }
    const pair = pairs.get(key);
    pair.facts.push(edge);
    if ((STRENGTH[edge.origin] ?? 9) < (STRENGTH[pair.origin] ?? 9)) pair.origin = edge.origin;
  }
  return [...pairs.values()];
}

/** Places: `{nodes: Map(id → {x, y}), edges: [{edge, points}], width, height}`; x and y are centres, in pixels. */
export function place(nodes, edges) {
  const layered = new dagre.graphlib.Graph({ multigraph: false });
  const ranker = edges.length > MANY_EDGES ? "tight-tree" : "network-simplex"; // the better one takes thrice as long
  layered.setGraph({ rankdir: "LR", ranker, nodesep: 18, ranksep: 44, edgesep: 8, marginx: 12, marginy: 12 });
  layered.setDefaultEdgeLabel(() => ({}));
  for (const node of nodes) layered.setNode(node.id, { ...NODE });
  for (const edge of edges) layered.setEdge(edge.upstream, edge.downstream, { edge });
  dagre.layout(layered);
  const size = layered.graph();
  return {
    nodes: new Map(nodes.map((node) => [node.id, layered.node(node.id)])),
    edges: layered.edges().map((key) => layered.edge(key)),
    width: size.width,
    height: size.height,
  };
}

/**
 * The two lines of a node: `[name, place]`. Harvested titles are "project: step", and what tells the nodes of a project
 * apart must not be what is cut off.
 */
export function lines(node) {
  const [, project, step] = /^(.+): (.+)$/s.exec(node.title) ?? [];
  if (step) return [step, project];
  return [node.title, node.stage || (node.title === node.name ? "" : node.name)];
}

/** `text` in at most `length` characters, whole code points only. */
export function shorten(text, length) {
  const characters = [...String(text)];
  return characters.length <= length ? String(text) : characters.slice(0, length - 1).join("").trimEnd() + "…";
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
