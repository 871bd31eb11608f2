/** Zoom and drag of the picture. */
import { select } from "d3-selection";
import { zoom, zoomIdentity, zoomTransform } from "d3-zoom";

const READABLE = 0.5;

/** `moved` is called with each new transform, `rested` when a movement of the reader ends. */
export function viewOn(canvas, layer, { moved, rested, least }) {
  let places = null;
  let drawing = 0;
  const behaviour = zoom()
    .scaleExtent([0.02, 2.5])
    .filter((event) => {
      if (event.type === "wheel") return event.ctrlKey || event.metaKey; // plain scrolling scrolls the page
      if (event.type === "touchstart") return event.touches.length > 1;
      return !event.button;
    })
    .on("zoom", (event) => {
      layer.setAttribute("transform", event.transform);
      drawing ||= requestAnimationFrame(() => {
        drawing = 0;
        moved();
      });
    })
    .on("end", (event) => event.sourceEvent && rested());
  const selection = select(canvas).call(behaviour).on("dblclick.zoom", null);
  const size = () => ({ width: canvas.clientWidth || 600, height: canvas.clientHeight || least });
  const now = () => zoomTransform(canvas);
  const go = (transform) => selection.call(behaviour.transform, transform);
  const centre = (x, y, scale) => {
    const { width, height } = size();
    go(zoomIdentity.translate(width / 2 - x * scale, height / 2 - y * scale).scale(scale));
  };
  const fitting = () => Math.min(1, size().width / places.box.width, size().height / places.box.height);
  const fit = () => {
    const { x, y, width, height } = places.box;
    centre(x + width / 2, y + height / 2, fitting());
  };
  return {
    fit,
    now,
    set places(given) {
      places = given;
    },
    /** The scale at which the whole width fits. */
    widthScale: () => Math.max(READABLE, Math.min(1, size().width / places.box.width)),
    restore: ({ x, y, k }) => go(zoomIdentity.translate(x, y).scale(k)),
    scale: (factor) => {
      selection.call(behaviour.scaleBy, factor);
      rested();
    },
    /** Fits, or where that would be too small to read, shows the nodes around `id`. */
    begin: (id) => {
      const at = places.nodes.get(id);
      if (!at || fitting() >= READABLE) fit();
      else centre(at.x, at.y, READABLE + 0.15);
    },
    /** Where a node is on the screen, relative to the canvas. */
    onScreen: (id) => {
      const at = places.nodes.get(id);
      const [x, y] = now().apply([at.x, at.y]);
      return { x, y };
    },
    /** Moves the picture so that a node is where it was. */
    hold: (id, { x, y }) => {
      const at = places.nodes.get(id);
      const { k } = now();
      go(zoomIdentity.translate(x - at.x * k, y - at.y * k).scale(k));
    },
    reveal: (id, scale = now().k) => {
      const at = places.nodes.get(id);
      const { width, height } = size();
      const [x, y] = now().apply([at.x, at.y]);
      if (scale !== now().k || x < 40 || y < 20 || x > width - 40 || y > height - 20) centre(at.x, at.y, scale);
    },
    /** The visible part of the drawing. */
    window: () => {
      const { width, height } = size();
      const [left, top] = now().invert([0, 0]);
      const [right, bottom] = now().invert([width, height]);
      return { left, top, right, bottom, scale: now().k };
    },
  };
}
