/** The graph that the page knows, and the part of it that is shown: what was opened is added, what was closed is left out. */

export const SIDES = ["upstream", "downstream"];

/** Whether two edges are the same fact. */
export function edgeKey(edge) {
  return JSON.stringify([edge.upstream, edge.downstream, edge.origin, edge.path, edge.resource, edge.version]);
}

export class Store {
  /** `graph` is an answer of the page's address with format `json`: of `mlops_lineage_show`, its nodes with a `key`. */
  constructor(graph) {
    this.begin = graph.starts ?? [graph.focus];
    this.nodes = new Map(graph.nodes.map((node) => [node.id, node]));
    this.edges = new Map(graph.edges.map((edge) => [edgeKey(edge), edge]));
    this.folded = new Set(graph.nodes.flatMap((node) => (node.folded ?? []).map((side) => `${side} ${node.id}`)));
  }

  /** Add what `node` has on `side`; the nodes that are new. */
  merge(node, side, found) {
    const fresh = [];
    for (const each of found.nodes) {
      const known = this.nodes.get(each.id);
      if (known === undefined) {
        this.nodes.set(each.id, each);
        fresh.push(each);
      } else if (!each.more[side]) {
        known.more[side] = false;
      }
    }
    for (const edge of found.edges) this.edges.set(edgeKey(edge), this.edges.get(edgeKey(edge)) ?? edge);
    return fresh;
  }

  fold(id, side) {
    this.folded.add(`${side} ${id}`);
  }

  unfold(id, side) {
    this.folded.delete(`${side} ${id}`);
  }

  isFolded(id, side) {
    return this.folded.has(`${side} ${id}`);
  }

  /** `{nodes, edges}` without what is reached only through a closed side. */
  shown() {
    const edges = [...this.edges.values()].filter(
      (edge) => !this.isFolded(edge.downstream, "upstream") && !this.isFolded(edge.upstream, "downstream"),
    );
    if (!this.folded.size) return { nodes: [...this.nodes.values()], edges };
    const beside = new Map([...this.nodes.keys()].map((id) => [id, []]));
    for (const { upstream, downstream } of this.edges.values()) {
      if (!this.isFolded(upstream, "downstream")) beside.get(upstream).push(downstream);
      if (!this.isFolded(downstream, "upstream")) beside.get(downstream).push(upstream);
    }
    const waiting = this.starts();
    const kept = new Set(waiting);
    while (waiting.length) {
      for (const id of beside.get(waiting.pop())) {
        if (kept.has(id)) continue;
        kept.add(id);
        waiting.push(id);
      }
    }
    return {
      nodes: [...this.nodes.values()].filter((node) => kept.has(node.id)),
      edges: edges.filter((edge) => kept.has(edge.upstream) && kept.has(edge.downstream)),
    };
  }

  /** Where the graph begins: one dataset, its files, or all datasets of a repository. */
  starts() {
    return this.begin.filter((id) => this.nodes.has(id));
  }
}

/** What can be done at a side of a node: `"open"` (ask for more), `"unfold"`, `"fold"`, or `""`. */
export function action(store, node, side, hasNeighbours) {
  if (store.isFolded(node.id, side)) return "unfold";
  if (node.more?.[side]) return "open";
  return hasNeighbours ? "fold" : "";
}
