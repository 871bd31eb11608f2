/** What is done to a specification before it is drawn; plain values in and out. */

/** The text that stands for the rows, as dvc-render leaves it. */
export const ANCHOR = "<DVC_METRIC_DATA>";

/** A copy of `spec` with the rows in place. */
export function fill(spec, rows) {
  if (spec === ANCHOR) return rows;
  if (Array.isArray(spec)) return spec.map((item) => fill(item, rows));
  if (spec && typeof spec === "object") return Object.fromEntries(Object.entries(spec).map(([key, value]) => [key, fill(value, rows)]));
  return spec;
}

/** Whether it is Vega and not Vega-Lite. */
export function isVega(spec) {
  return /\/schema\/vega\//.test(String(spec.$schema));
}

/** Vega-Lite as wide as there is room: one chart takes it, charts side by side share it; the wheel needs Ctrl to zoom. */
export function fitted(spec, width) {
  const result = tamed(spec);
  if (result.facet || result.encoding?.column || result.encoding?.facet || result.hconcat || result.concat) return sideBySide(result, width);
  if (result.layer || result.mark) return { ...result, width: Math.min(720, width) - 80, height: Math.min(300, Math.round(width * 0.75)) };
  return result;
}

function sideBySide(spec, width) {
  const columns = Math.max(1, Math.floor(width / 330));
  const each = Math.min(300, Math.max(120, Math.floor(width / columns) - 90));
  const sized = (part) => (part && typeof part === "object" && ("width" in part || "height" in part) ? { ...part, width: each, height: each } : part);
  const result = sized(spec);
  if (result.spec) result.spec = sized(result.spec);
  const { column, row } = result.facet ?? {};
  if (column && !row?.field) return { ...result, facet: column, columns };
  return result;
}

function tamed(spec) {
  if (Array.isArray(spec)) return spec.map(tamed);
  if (!spec || typeof spec !== "object") return spec;
  const result = {};
  for (const [key, value] of Object.entries(spec)) result[key] = key === "values" ? value : tamed(value);
  if (result.bind === "scales" && result.select) {
    const select = typeof result.select === "string" ? { type: result.select } : result.select;
    result.select = { ...select, zoom: "wheel![event.ctrlKey]" };
  }
  return result;
}

/** What a tooltip says, as text. */
export function tooltip(value) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "object") return String(value);
  return Object.entries(value)
    .map(([key, item]) => `${key}: ${typeof item === "object" ? JSON.stringify(item) : item}`)
    .join("\n");
}
