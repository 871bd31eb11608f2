/**
 * The drawing: all of a graph of ordinary size; of a large one what is in the window, and from far away only boxes, so
 * that moving stays fluid.
 */
import { curve, drawEdge, drawNode, edgeStyle, svg } from "./draw.js";
import { NODE } from "./graph.js";

const LARGE = 120;
const FAR = 0.3; // text too small to read is not drawn
const FAR_AWAY = { left: -Infinity, right: Infinity, top: -Infinity, bottom: Infinity };

export class Scene {
  /** Draws into `layer`; `arrow` is the id of the arrow head, `actions(node)` what the sides of a node can do. */
  constructor(layer, { arrow, focus, words, actions }) {
    Object.assign(this, { layer, arrow, focus, words, actions });
    this.lines = svg("g");
    this.boxes = svg("g");
    this.items = svg("g");
    layer.append(this.lines, this.boxes, this.items);
    this.selected = null;
    this.found = new Set();
  }

  /** Draws `nodes` at `places`; `window` is the part that is visible, `{left, top, right, bottom, scale}`. */
  draw(nodes, places, window) {
    this.nodes = new Map(nodes.map((node) => [node.id, node]));
    this.places = places;
    this.elements = new Map();
    this.isLarge = nodes.length > LARGE;
    this.routes = this.isLarge ? places.edges.map(route) : [];
    this.items.replaceChildren();
    this.boxes.replaceChildren();
    this.lines.replaceChildren(...(this.isLarge ? [] : places.edges.map((each) => drawEdge(each, this.arrow, this.words))));
    this.covered = null;
    if (!this.isLarge) this.items.append(...nodes.map((node) => this.element(node.id)));
    this.update(window);
  }

  /** Follows the window: what is in it and half a window around it is drawn, until it leaves that. */
  update(window) {
    const far = window.scale < FAR;
    this.layer.classList.toggle("is-far", far);
    if (!this.isLarge || (far && this.covered === FAR_AWAY)) return;
    if (!far && this.covered && contains(this.covered, window)) return;
    if (far) {
      this.covered = FAR_AWAY;
      this.items.replaceChildren();
      this.lines.replaceChildren(...joined(this.routes));
      this.boxes.replaceChildren(...this.silhouettes());
      return;
    }
    if (this.covered === FAR_AWAY) this.lines.replaceChildren();
    this.boxes.replaceChildren();
    this.covered = around(window);
    const near = (at) => overlaps({ left: at.x, right: at.x, top: at.y, bottom: at.y }, this.covered);
    const nodes = [...this.places.nodes].filter(([, at]) => near(at)).map(([id]) => this.element(id));
    exchange(this.items, nodes, document.activeElement);
    exchange(this.lines, this.routes.filter((each) => overlaps(each, this.covered)).map((each) => this.line(each)));
  }

  line(route) {
    route.element ??= drawEdge(route.place, this.arrow, this.words);
    return route.element;
  }

  /** The element of a node, drawn when it is first wanted. */
  element(id) {
    if (!this.elements.has(id)) {
      const node = this.nodes.get(id);
      const element = drawNode(node, this.places.nodes.get(id), id === this.focus, this.actions(node), this.words);
      element.classList.toggle("is-selected", id === this.selected);
      element.classList.toggle("is-found", this.found.has(id));
      this.elements.set(id, element);
    }
    return this.elements.get(id);
  }

  select(id) {
    this.elements.get(this.selected)?.classList.remove("is-selected");
    this.selected = id;
    this.elements.get(id)?.classList.add("is-selected");
  }

  /** Marks the nodes `ids`, and lets the others step back. */
  mark(ids, window) {
    this.found = new Set(ids);
    this.layer.classList.toggle("is-searched", this.found.size > 0);
    for (const [id, element] of this.elements) element.classList.toggle("is-found", this.found.has(id));
    this.covered = null;
    this.update(window);
  }

  /** Boxes without text, one path for all of a kind. */
  silhouettes() {
    const kinds = new Map();
    for (const node of this.nodes.values()) {
      const { x, y } = this.places.nodes.get(node.id);
      const kind = `mlops-lineage-role-${node.role}${this.found.has(node.id) ? " is-found" : ""}${node.id === this.focus ? " is-focus" : ""}`;
      const box = `M${x - NODE.width / 2} ${y - NODE.height / 2}h${NODE.width}v${NODE.height}h${-NODE.width}z`;
      kinds.set(kind, (kinds.get(kind) ?? "") + box);
    }
    return [...kinds].map(([kind, d]) =>
      svg("g", { class: `mlops-lineage-node ${kind}` }, svg("path", { class: "mlops-lineage-box is-filled", d })),
    );
  }

  /** A drawing of everything, for a picture. */
  whole() {
    const nodes = [...this.nodes.values()].map((node) =>
      drawNode(node, this.places.nodes.get(node.id), node.id === this.focus, {}, this.words),
    );
    return svg("g", {}, svg("g", {}, ...this.places.edges.map((each) => drawEdge(each, this.arrow, this.words))), ...nodes);
  }
}

function route(place) {
  const xs = place.points.map(({ x }) => x);
  const ys = place.points.map(({ y }) => y);
  return {
    place,
    style: edgeStyle(place.edge),
    d: curve(place.points),
    left: Math.min(...xs),
    right: Math.max(...xs),
    top: Math.min(...ys),
    bottom: Math.max(...ys),
  };
}

function overlaps(box, window) {
  return box.right >= window.left && box.left <= window.right && box.bottom >= window.top && box.top <= window.bottom;
}

function contains(box, window) {
  return box.left <= window.left && box.right >= window.right && box.top <= window.top && box.bottom >= window.bottom;
}

/** A window and half of it around, and the nodes that only reach into it. */
function around({ left, top, right, bottom }) {
  const x = (right - left) / 2 + NODE.width;
  const y = (bottom - top) / 2 + NODE.height;
  return { left: left - x, right: right + x, top: top - y, bottom: bottom + y };
}

/** Makes `wanted` the children of `parent`; `kept` stays as well. */
function exchange(parent, wanted, kept = null) {
  const set = new Set(wanted);
  for (const child of [...parent.children]) if (!set.has(child) && child !== kept) child.remove();
  parent.append(...wanted.filter((each) => each.parentNode !== parent));
}

/** One path for all lines of a style: from far away, nobody tells them apart. */
function joined(routes) {
  const styles = new Map();
  for (const { style, d } of routes) {
    if (!styles.has(style)) styles.set(style, []);
    styles.get(style).push(d);
  }
  return [...styles].map(([style, lines]) => svg("path", { class: style, d: lines.join("") }));
}
