/**
 * Draws the plots of a repository, in a frame of its own that is sandboxed without an origin: what is drawn was written
 * by strangers. Expressions are interpreted and never compiled to code; nothing is loaded from anywhere.
 */
import { transforms } from "vega-dataflow";
import * as encoders from "vega-encode";
import { expressionInterpreter } from "vega-interpreter";
import { compile } from "vega-lite";
import { parse } from "vega-parser";
import { loess, regression } from "vega-regression";
import * as basic from "vega-transforms";
import { View } from "vega-view";
import * as views from "vega-view-transforms";
import * as nearest from "vega-voronoi";

import { fill, fitted, isVega, tooltip } from "./spec.js";

Object.assign(transforms, basic, views, encoders, nearest, { loess, regression });

const refuse = () => Promise.reject(new Error("Plots load nothing."));
const loader = { load: refuse, sanitize: refuse, http: refuse, file: refuse };
const ink = "currentColor";
const config = {
  background: "transparent",
  font: "system-ui, sans-serif",
  title: { color: ink, subtitleColor: ink },
  axis: { domainColor: ink, domainOpacity: 0.4, gridColor: ink, gridOpacity: 0.15, labelColor: ink, tickColor: ink, titleColor: ink },
  legend: { labelColor: ink, titleColor: ink, labelLimit: 120, orient: "bottom", columns: 4 },
  header: { labelColor: ink, titleColor: ink },
  view: { stroke: "transparent" },
};

async function draw(figure, chart) {
  const spec = fill(chart.spec, chart.rows);
  const width = Math.max(200, figure.clientWidth - 16);
  const vega = isVega(spec) ? spec : compile(fitted(spec, width), { config }).spec;
  const chartBox = figure.appendChild(document.createElement("div"));
  const inputs = figure.appendChild(document.createElement("div"));
  inputs.className = "inputs";
  const view = new View(parse(vega, {}, { ast: true }), { expr: expressionInterpreter, loader, renderer: "svg", hover: true });
  view.description(chart.title).tooltip((_handler, _event, _item, value) => (chartBox.title = tooltip(value)));
  await view.initialize(chartBox, inputs).runAsync();
  return view;
}

async function start() {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const main = document.querySelector("main");
  const tell = () => main.dataset.drawn && parent.postMessage({ mlopsPlots: Math.ceil(main.getBoundingClientRect().height) + 8 }, "*");
  let views = [];

  async function all() {
    for (const view of views) view.finalize();
    main.replaceChildren();
    views = [];
    for (const chart of charts) {
      const figure = main.appendChild(document.createElement("figure"));
      try {
        views.push(await draw(figure, chart));
      } catch (error) {
        figure.replaceChildren(`${chart.title}: ${error instanceof Error ? error.message : error}`);
      }
    }
    main.dataset.drawn = charts.length;
    tell();
  }

  addEventListener("message", ({ source, data }) => {
    if (source !== parent || (data?.theme !== "dark" && data?.theme !== "light")) return;
    document.documentElement.dataset.theme = data.theme;
    tell();
  });
  parent.postMessage({ mlopsPlots: 0 }, "*"); // asks for the theme
  await all();
  let width = innerWidth;
  let waiting;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      if (Math.abs(innerWidth - width) > 8) all();
      width = innerWidth;
    }, 200);
  });
}

start();
