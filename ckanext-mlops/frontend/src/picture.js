/** The drawing as a file that looks the same without the page: SVG, or PNG made of it. */
import { svg } from "./draw.js";

const KEPT = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "opacity", "font-size", "font-weight", "text-anchor", "display"];
const MOST_PIXELS = 24e6;
const SVG = "http://www.w3.org/2000/svg";

/** The text of an SVG file. `drawing` holds all nodes and lines, inside the page, so that its styles apply. */
export function asSvg(drawing, box, definitions, background, font) {
  const copy = svg("g");
  copyInto(drawing, copy);
  const size = { width: Math.ceil(box.width), height: Math.ceil(box.height) };
  const file = svg(
    "svg",
    { viewBox: `${box.x} ${box.y} ${size.width} ${size.height}`, ...size, "font-family": font },
    definitions.cloneNode(true),
    svg("rect", { x: box.x, y: box.y, ...size, fill: background }),
    copy,
  );
  const arrow = definitions.querySelector("path");
  if (arrow) file.querySelector("marker path").setAttribute("fill", getComputedStyle(arrow).fill);
  file.setAttribute("xmlns", SVG);
  return new XMLSerializer().serializeToString(file);
}

function copyInto(source, target) {
  for (const child of source.children) {
    const style = getComputedStyle(child);
    if (style.display === "none" && child.tagName !== "title") continue;
    const copy = document.createElementNS(SVG, child.tagName);
    for (const name of ["d", "x", "y", "r", "rx", "cx", "cy", "width", "height", "transform", "marker-end", "href"]) {
      if (child.hasAttribute(name)) copy.setAttribute(name, child.getAttribute(name));
    }
    if (!["g", "a", "title", "defs"].includes(child.tagName) || style.opacity !== "1") {
      for (const name of KEPT) {
        const value = style.getPropertyValue(name);
        if (value && value !== "normal") copy.setAttribute(name, value);
      }
    }
    if (child.children.length) copyInto(child, copy);
    else copy.textContent = child.textContent;
    target.append(copy);
  }
}

/** A PNG, twice as fine as the screen where that is not too large. */
export async function asPng(text, box) {
  const factor = Math.min(2, Math.sqrt(MOST_PIXELS / (box.width * box.height)));
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(box.width * factor));
  canvas.height = Math.max(1, Math.round(box.height * factor));
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the picture is too large"))), "image/png");
  });
}

/** Hands a file to the reader. */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
