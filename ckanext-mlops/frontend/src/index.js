/** CKAN module `mlops-lineage`: draws the graph that the page carries as JSON, and follows what the reader does with it. */
import { expansion, isFull, opened, viewOf, withEntry, withValue, withView } from "./address.js";
import { arrowHead, svg } from "./draw.js";
import { joinEdges, matches, place, placeBeside } from "./graph.js";
import { details, html } from "./panel.js";
import { asPng, asSvg, save } from "./picture.js";
import { Scene } from "./scene.js";
import { SIDES, Store, action } from "./store.js";
import { legend, toolbar } from "./tools.js";
import { viewOn } from "./view.js";

const HEIGHT = { least: 320, most: 620 };
const KEEP_PLACES = 300; // from so many nodes on, what is opened is placed beside what is there
let drawings = 0;

class Lineage {
  /** Draws into `root`, which stays hidden when this throws: the page's tables remain. */
  constructor(root) {
    this.root = root;
    this.words = read(root, "words");
    this.address = root.dataset.address;
    this.own = JSON.parse(root.dataset.own);
    this.isEmbedded = root.dataset.embedded !== undefined;
    this.href = location.href;
    this.panel = html("aside", { class: "mlops-lineage-panel", hidden: "", "aria-live": "polite" });
    const arrow = `mlops-lineage-arrow-${++drawings}`;
    this.layer = svg("g");
    this.definitions = arrowHead(arrow);
    this.canvas = svg("svg", { class: "mlops-lineage-canvas", role: "group", "aria-label": this.words.graph }, this.definitions, this.layer);
    this.status = html("p", { class: "mlops-lineage-status", role: "status" });
    this.stage = html("div", { class: "mlops-lineage-stage" }, this.canvas, this.panel);
    this.legend = html("ul", { class: "mlops-lineage-legend", "aria-label": this.words.legend });
    this.view = viewOn(this.canvas, this.layer, {
      moved: () => this.scene.update(this.view.window()),
      rested: () => this.remember(withView(this.href, this.view.now())),
      least: HEIGHT.least,
    });
    this.tools = toolbar(this.words, {
      zoom: (factor) => this.view.scale(factor),
      fit: () => this.view.fit(),
      tidy: () => this.tidy(),
      search: (text) => this.search(text),
      next: () => this.next(),
      picture: (kind) => this.picture(kind),
    });
    root.append(this.tools.element, this.stage, this.legend, this.status);
    root.hidden = false;
    this.take(read(root, "data"), arrow);
    this.listen();
  }

  /** Shows another graph. */
  take(graph, arrow = this.scene.arrow) {
    this.store = new Store(graph);
    this.pinned = null;
    this.panel.hidden = true;
    this.layer.replaceChildren();
    this.scene = new Scene(this.layer, {
      arrow,
      focus: graph.focus,
      words: this.words,
      actions: (node) => Object.fromEntries(SIDES.map((side) => [side, this.action(node, side)])),
    });
    this.lay();
    const scale = this.view.widthScale();
    this.canvas.style.height = `${Math.min(HEIGHT.most, Math.max(HEIGHT.least, this.places.box.height * scale + 80))}px`;
    const given = viewOf(this.href);
    if (given) this.view.restore(given);
    else this.view.begin(this.store.begin[0]);
    this.scene.update(this.view.window());
    const key = new URL(this.href).searchParams.get("node");
    const node = key && [...this.byId.values()].find((each) => each.key === key);
    if (node) this.pin(node.id);
  }

  /** Places and draws what is shown; with `beside`, `{id, side}`, what is new stands there and all else where it was. */
  lay(beside = null) {
    const { nodes, edges } = this.store.shown();
    this.byId = new Map(nodes.map((node) => [node.id, node]));
    this.edges = joinEdges(edges.filter((edge) => this.byId.has(edge.upstream) && this.byId.has(edge.downstream)));
    this.ends = { upstream: new Set(this.edges.map((edge) => edge.downstream)), downstream: new Set(this.edges.map((edge) => edge.upstream)) };
    const keeps = beside && this.places && nodes.length > KEEP_PLACES && this.places.nodes.has(beside.id);
    this.places = keeps ? placeBeside(this.places, beside.id, beside.side, nodes, this.edges) : place(nodes, this.edges);
    this.view.places = this.places;
    this.scene.draw(nodes, this.places, this.view.window());
    this.tools.tidiable(nodes.length > KEEP_PLACES);
    this.legend.replaceChildren(...legend(nodes, this.edges, this.words));
  }

  action(node, side) {
    const what = action(this.store, node, side, this.ends[side].has(node.id));
    return what === "fold" && !this.store.begin.includes(node.id) && this.leadsBack(node, side) ? "" : what;
  }

  /** Whether the focus is on that side: closing it would close the graph itself. */
  leadsBack(node, side) {
    const other = side === "upstream" ? "downstream_distance" : "upstream_distance";
    return node[other] !== null && node[other] !== undefined;
  }

  /** Opens or closes a side of a node, as its button says. */
  async act(id, side) {
    const node = this.store.nodes.get(id);
    const what = this.action(node, side);
    const entry = opened(side, node.key);
    if (what === "open" && !(await this.open(node, side))) return;
    if (what === "fold") this.store.fold(id, side);
    if (what === "unfold") this.store.unfold(id, side);
    const list = what === "open" ? "expand" : "fold";
    if (what === "open" && isFull(this.href, "expand")) this.say(this.words.full.replace("{n}", "150"));
    else this.visit(withEntry(this.href, list, entry, what === "unfold"));
    const where = this.view.onScreen(id);
    this.lay(what === "open" ? { id, side } : null);
    this.view.hold(id, where);
    this.scene.select(this.pinned);
    if (this.pinned && this.byId.has(this.pinned)) this.show(this.pinned);
    else this.close();
    this.refresh();
  }

  async open(node, side) {
    this.say(this.words.loading);
    try {
      const answer = await fetch(expansion(this.href, this.address, this.own, node.id, side));
      if (!answer.ok) throw new Error(String(answer.status));
      this.store.merge(node, side, await answer.json());
    } catch {
      this.say(this.words.failed);
      return false;
    }
    node.more[side] = false;
    this.say("");
    return true;
  }

  tidy() {
    this.places = null;
    this.lay();
    this.view.begin(this.pinned ?? this.store.begin[0]);
  }

  /** Goes to an address of this page, as a link does. */
  visit(href) {
    const bare = new URL(href);
    bare.hash = "";
    this.href = bare.href;
    if (!this.isEmbedded) history.pushState({}, "", bare.href);
  }

  /** Keeps an address without a new entry in the browser's history. */
  remember(href) {
    this.href = href;
    if (!this.isEmbedded) history.replaceState({}, "", href);
  }

  /** What the page shows at its address: tables and notes; with `graph`, the drawing as well. */
  async refresh({ graph = false, focus = "" } = {}) {
    this.asked?.abort();
    this.asked = new AbortController();
    try {
      const answer = await fetch(this.href, { signal: this.asked.signal, headers: { Accept: "text/html" } });
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const live = page.querySelector(".mlops-lineage-live");
      const here = document.querySelector(".mlops-lineage-live");
      if (live && here) here.replaceChildren(...[...live.childNodes].map((each) => document.adoptNode(each)));
      if (graph) this.take(read(page.querySelector(".mlops-lineage-graph"), "data"));
      if (focus) document.querySelector(focus)?.focus();
    } catch (error) {
      if (error.name !== "AbortError") this.say(this.words.failed);
    }
  }

  show(id) {
    const node = this.byId.get(id);
    const acts = SIDES.map((side) => [side, this.action(node, side)])
      .filter(([, what]) => what)
      .map(([side, what]) => ({
        label: this.words[`${what === "fold" ? "hide" : "show"}_${side}`],
        run: () => this.act(id, side),
      }));
    const had = this.panel.contains(document.activeElement);
    this.panel.replaceChildren(
      ...details(node, { edges: this.edges, byId: this.byId, words: this.words, acts, close: () => this.close() }),
    );
    this.panel.classList.toggle("is-left", this.view.onScreen(id).x > this.canvas.clientWidth / 2);
    this.panel.hidden = false;
    if (had) this.panel.querySelector("a, button").focus();
  }

  pin(id) {
    this.pinned = id;
    this.scene.select(id);
    this.show(id);
    this.remember(withValue(this.href, "node", this.byId.get(id).key));
  }

  close() {
    const was = this.pinned;
    const inside = this.panel.contains(document.activeElement);
    this.pinned = null;
    this.panel.hidden = true;
    this.scene.select(null);
    if (was) this.remember(withValue(this.href, "node", ""));
    if (was && inside && this.byId.has(was)) this.focusOn(was);
  }

  focusOn(id) {
    this.view.reveal(id);
    this.scene.update(this.view.window());
    this.scene.element(id).focus();
  }

  search(text) {
    const found = [...this.byId.values()].filter((node) => matches(node, text)).map(({ id }) => id);
    this.hits = found;
    this.hit = -1;
    this.scene.mark(found, this.view.window());
    const said = this.words.found.replace("{n}", found.length).replace("{all}", this.byId.size);
    this.tools.result(text.trim() ? said : "");
  }

  next() {
    if (!this.hits?.length) return;
    this.hit = (this.hit + 1) % this.hits.length;
    const id = this.hits[this.hit];
    this.view.reveal(id, Math.max(this.view.now().k, 0.8));
    this.scene.update(this.view.window());
    this.pin(id);
  }

  async picture(kind) {
    const drawing = this.scene.whole();
    drawing.setAttribute("visibility", "hidden");
    this.canvas.append(drawing);
    const style = getComputedStyle(this.root);
    const text = asSvg(drawing, this.places.box, this.definitions, style.backgroundColor, style.fontFamily);
    drawing.remove();
    try {
      const svgFile = new Blob([text], { type: "image/svg+xml" });
      save(kind === "png" ? await asPng(text, this.places.box) : svgFile, `lineage.${kind}`);
    } catch {
      this.say(this.words.failed);
    }
  }

  say(text) {
    this.status.textContent = text;
  }

  /** The node that an event is about. */
  nodeOf(event) {
    const element = event.target.closest?.(".mlops-lineage-node[data-key]");
    const key = element?.getAttribute("data-key");
    return key ? [...this.byId.values()].find((node) => node.key === key)?.id : undefined;
  }

  listen() {
    this.layer.addEventListener("click", (event) => {
      const id = this.nodeOf(event);
      if (!id || event.ctrlKey || event.metaKey || event.shiftKey) return; // as any link: a new tab or window
      event.preventDefault();
      const side = event.target.closest(".mlops-lineage-handle")?.getAttribute("data-side");
      if (side) this.act(id, side);
      else this.pin(id);
    });
    this.layer.addEventListener("mouseover", (event) => {
      const id = this.nodeOf(event);
      if (id && !this.pinned) this.show(id);
    });
    this.layer.addEventListener("mouseout", (event) => {
      if (!this.pinned && !event.relatedTarget?.closest?.(".mlops-lineage-node")) this.panel.hidden = true;
    });
    this.layer.addEventListener("focusin", (event) => {
      const id = this.nodeOf(event);
      if (id && event.target.matches(":focus-visible")) this.view.reveal(id);
    });
    this.layer.addEventListener("keydown", (event) => this.key(event));
    this.stage.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
    if (this.isEmbedded) return;
    addEventListener("popstate", () => {
      this.href = location.href;
      this.refresh({ graph: true });
    });
    document.querySelector(".mlops-lineage-live")?.addEventListener("click", (event) => {
      const link = event.target.closest("a.mlops-sort, a.mlops-lineage-open");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.visit(link.href);
      const column = link.dataset.column;
      this.refresh({ graph: !column, focus: column ? `a.mlops-sort[data-column="${column}"]` : "" });
    });
  }

  key(event) {
    const id = this.nodeOf(event);
    if (!id) return;
    const { key } = event;
    if (key === "Enter" || key === " ") {
      event.preventDefault();
      this.pin(id);
      this.panel.querySelector("a, button").focus();
      return;
    }
    const there = this.neighbour(id, key);
    if (!there) return;
    event.preventDefault();
    this.focusOn(there);
  }

  /** The node beside another one: along a line to left and right, else the next one in the column. */
  neighbour(id, key) {
    const at = this.places.nodes.get(id);
    const ids = {
      ArrowLeft: () => this.edges.filter((edge) => edge.downstream === id).map((edge) => edge.upstream),
      ArrowRight: () => this.edges.filter((edge) => edge.upstream === id).map((edge) => edge.downstream),
      ArrowUp: () => this.column(at).filter((each) => this.places.nodes.get(each).y < at.y - 1),
      ArrowDown: () => this.column(at).filter((each) => this.places.nodes.get(each).y > at.y + 1),
    }[key]?.();
    const far = (each) => Math.abs(this.places.nodes.get(each).y - at.y);
    return ids?.filter((each) => each !== id).sort((one, other) => far(one) - far(other))[0];
  }

  column({ x }) {
    return [...this.places.nodes].filter(([, each]) => Math.abs(each.x - x) < 60).map(([id]) => id);
  }
}

function read(root, name) {
  return JSON.parse(root.querySelector(`.mlops-lineage-${name}`).textContent);
}

window.ckan.module("mlops-lineage", () => ({
  initialize() {
    this.el[0].lineage = new Lineage(this.el[0]);
  },
}));
