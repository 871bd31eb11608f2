/** Buttons, search and legend around the drawing. */
import { edgeStyle, icon, svg } from "./draw.js";
import { html } from "./panel.js";

/** `{element, result, tidiable}`; `on` holds what the tools do. */
export function toolbar(words, on) {
  const button = (label, sign, action) => {
    const element = html("button", { type: "button", class: "btn btn-secondary btn-sm", "aria-label": label, title: label }, sign);
    element.addEventListener("click", action);
    return element;
  };
  const search = html("input", {
    type: "search",
    class: "form-control form-control-sm",
    placeholder: words.search,
    "aria-label": words.search,
  });
  const result = html("output", { class: "mlops-lineage-result" });
  search.addEventListener("input", () => on.search(search.value));
  search.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    on.next();
  });
  const tidy = button(words.tidy, words.tidy, on.tidy);
  const element = html(
    "div",
    { class: "mlops-lineage-tools" },
    button(words.zoom_in, "+", () => on.zoom(1.3)),
    button(words.zoom_out, "−", () => on.zoom(1 / 1.3)),
    button(words.fit, words.fit, on.fit),
    tidy,
    search,
    result,
    html("span", { class: "mlops-lineage-spring" }),
    button(`${words.picture} SVG`, "SVG", () => on.picture("svg")),
    button(`${words.picture} PNG`, "PNG", () => on.picture("png")),
  );
  return {
    element,
    result: (text) => {
      result.textContent = text;
    },
    tidiable: (is) => {
      tidy.hidden = !is;
    },
  };
}

/** The entries of the legend for what is shown. */
export function legend(nodes, edges, words) {
  const items = [];
  for (const role of Object.keys(words.roles)) {
    if (!nodes.some((node) => node.role === role)) continue;
    const image = svg("svg", { viewBox: "0 0 20 20", class: `mlops-lineage-role-${role}`, "aria-hidden": "true" }, icon(role));
    items.push(html("li", {}, image, words.roles[role]));
  }
  const line = (style) => {
    const path = svg("path", { class: style, d: "M0 10H34" });
    return svg("svg", { viewBox: "0 0 34 20", class: "mlops-lineage-sample", "aria-hidden": "true" }, path);
  };
  for (const origin of Object.keys(words.origins)) {
    if (!edges.some((edge) => edge.facts.some((fact) => fact.origin === origin))) continue;
    items.push(html("li", { title: words.origin_hints[origin] }, line(edgeStyle({ origin })), words.origins[origin]));
  }
  for (const change of ["added", "removed", "changed"]) {
    if (![...nodes, ...edges].some((each) => each.change === change)) continue;
    items.push(html("li", {}, line(edgeStyle({ origin: "harvested", change })), words.changes[change]));
  }
  if (nodes.some((node) => node.stale)) items.push(html("li", { class: "mlops-lineage-stale" }, words.stale));
  return items;
}
