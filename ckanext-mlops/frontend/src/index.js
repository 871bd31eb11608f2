/** CKAN module `mlops-lineage`: draws the graph that the page carries as JSON. */
import { select } from "d3-selection";
import { zoom, zoomIdentity } from "d3-zoom";
import { arrowHead, drawEdge, drawNode, icon, svg } from "./draw.js";
import { joinEdges, place } from "./graph.js";
import { details, html } from "./panel.js";

const HEIGHT = { least: 300, most: 560 };
const READABLE = 0.5;
const FAR = 0.3;
let drawings = 0;

/** Draws into `root`, which stays hidden when this throws: the page's tables remain. */
export function start(root) {
  const graph = JSON.parse(root.querySelector(".mlops-lineage-data").textContent);
  const words = JSON.parse(root.querySelector(".mlops-lineage-words").textContent);
  const byId = new Map(graph.nodes.map((node) => [node.id, node]));
  const edges = joinEdges(graph.edges);
  const places = place(graph.nodes, edges);
  const arrow = `mlops-lineage-arrow-${++drawings}`;

  const layer = svg("g");
  layer.append(...places.edges.map((each) => drawEdge(each, arrow, words)));
  const drawn = new Map();
  for (const node of graph.nodes) {
    const element = drawNode(node, places.nodes.get(node.id), node.id === graph.focus, words);
    drawn.set(node.id, element);
    layer.append(element);
  }
  const canvas = svg("svg", { class: "mlops-lineage-canvas", role: "group", "aria-label": words.graph }, arrowHead(arrow), layer);
  const panel = html("aside", { class: "mlops-lineage-panel", hidden: "", "aria-live": "polite" });
  const stage = html("div", { class: "mlops-lineage-stage" }, canvas, panel);
  const view = viewOf(canvas, layer, places, graph.focus);
  root.append(toolbar(view, words), stage, legend(graph, edges, words));
  root.hidden = false;

  const scale = Math.max(READABLE, view.fitting());
  canvas.style.height = `${Math.min(HEIGHT.most, Math.max(HEIGHT.least, places.height * scale + 80))}px`;
  view.begin();
  connect({ byId, canvas, drawn, edges, panel, view, words });
}

function viewOf(canvas, layer, places, focus) {
  const behaviour = zoom()
    .scaleExtent([0.05, 2.5])
    .filter((event) => {
      if (event.type === "wheel") return event.ctrlKey || event.metaKey; // plain scrolling scrolls the page
      if (event.type === "touchstart") return event.touches.length > 1;
      return !event.button;
    })
    .on("zoom", (event) => {
      layer.setAttribute("transform", event.transform);
      layer.classList.toggle("is-far", event.transform.k < FAR); // text too small to read is not drawn
    });
  const selection = select(canvas).call(behaviour).on("dblclick.zoom", null);
  const size = () => ({ width: canvas.clientWidth || 600, height: canvas.clientHeight || HEIGHT.least });
  const fitting = () => Math.min(1, size().width / places.width, size().height / places.height);
  const centre = (x, y, scale) => {
    const { width, height } = size();
    selection.call(behaviour.transform, zoomIdentity.translate(width / 2 - x * scale, height / 2 - y * scale).scale(scale));
  };
  return {
    fitting: () => Math.min(1, size().width / places.width),
    isRight: (id) => canvas.__zoom.applyX(places.nodes.get(id).x) > size().width / 2,
    scale: (factor) => selection.call(behaviour.scaleBy, factor),
    fit: () => centre(places.width / 2, places.height / 2, fitting()),
    begin: () => {
      const at = places.nodes.get(focus);
      if (fitting() >= READABLE) centre(places.width / 2, places.height / 2, fitting());
      else centre(at.x, at.y, READABLE + 0.15);
    },
    reveal: (id) => {
      const at = places.nodes.get(id);
      const now = canvas.__zoom;
      const { width, height } = size();
      const [x, y] = now.apply([at.x, at.y]);
      if (x < 40 || y < 20 || x > width - 40 || y > height - 20) centre(at.x, at.y, now.k);
    },
  };
}

function connect({ byId, canvas, drawn, edges, panel, view, words }) {
  let pinned = null;
  const show = (id) => {
    panel.replaceChildren(...details(byId.get(id), edges, byId, words, close));
    panel.classList.toggle("is-left", view.isRight(id));
    panel.hidden = false;
  };
  const close = () => {
    const was = pinned;
    pinned = null;
    panel.hidden = true;
    drawn.forEach((element) => element.classList.remove("is-selected"));
    if (was && panel.contains(document.activeElement)) drawn.get(was).focus();
  };
  const pin = (id) => {
    pinned = id;
    drawn.forEach((element, each) => element.classList.toggle("is-selected", each === id));
    show(id);
  };
  drawn.forEach((element, id) => {
    element.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // as any link: a new tab or window
      event.preventDefault();
      pin(id);
    });
    element.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      pin(id);
      (panel.querySelector("a") ?? panel.querySelector("button")).focus();
    });
    element.addEventListener("mouseenter", () => pinned ?? show(id));
    element.addEventListener("mouseleave", () => {
      if (!pinned) panel.hidden = true;
    });
    element.addEventListener("focus", () => view.reveal(id));
  });
  canvas.parentElement.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
  });
}

function toolbar(view, words) {
  const button = (label, sign, action) => {
    const element = html("button", { type: "button", class: "btn btn-secondary btn-sm", "aria-label": label, title: label }, sign);
    element.addEventListener("click", action);
    return element;
  };
  return html(
    "div",
    { class: "mlops-lineage-tools" },
    button(words.zoom_in, "+", () => view.scale(1.3)),
    button(words.zoom_out, "−", () => view.scale(1 / 1.3)),
    button(words.fit, words.fit, view.fit),
  );
}

function legend(graph, edges, words) {
  const list = html("ul", { class: "mlops-lineage-legend", "aria-label": words.legend });
  for (const role of Object.keys(words.roles)) {
    if (!graph.nodes.some((node) => node.role === role)) continue;
    const image = svg("svg", { viewBox: "0 0 20 20", class: `mlops-lineage-role-${role}`, "aria-hidden": "true" }, icon(role));
    list.append(html("li", {}, image, words.roles[role]));
  }
  for (const origin of Object.keys(words.origins)) {
    if (!edges.some((edge) => edge.facts.some((fact) => fact.origin === origin))) continue;
    const line = svg("path", { class: `mlops-lineage-edge mlops-lineage-edge-${origin}`, d: "M0 10H34" });
    const image = svg("svg", { viewBox: "0 0 34 20", class: "mlops-lineage-sample", "aria-hidden": "true" }, line);
    list.append(html("li", { title: words.origin_hints[origin] }, image, words.origins[origin]));
  }
  return list;
}

window.ckan.module("mlops-lineage", () => ({
  initialize() {
    start(this.el[0]);
  },
}));
