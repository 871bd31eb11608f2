/** What the page's address says of the graph: opened and closed sides, the node in detail, and where the picture is. */

const MOST = 150;

/** One side of a node as the address names it. */
export function opened(side, key) {
  return side[0] + key;
}

/** The address `href` with one more (or, with `off`, one less) entry of the list `name`. */
export function withEntry(href, name, entry, off = false) {
  const url = new URL(href);
  const entries = (url.searchParams.get(name) ?? "").split(".").filter((each) => each && each !== entry);
  if (!off) entries.push(entry);
  return withValue(url.href, name, entries.slice(0, MOST).join("."));
}

/** Whether the list `name` of the address is full. */
export function isFull(href, name) {
  return (new URL(href).searchParams.get(name) ?? "").split(".").length >= MOST;
}

/** The address with a value of its query; `""` leaves it out. */
export function withValue(href, name, value) {
  const url = new URL(href);
  if (value) url.searchParams.set(name, value);
  else url.searchParams.delete(name);
  return url.href;
}

/** `{x, y, k}` of the picture that the address's fragment holds, or null. */
export function viewOf(href) {
  const found = /^#view=(-?\d+),(-?\d+),(\d+(?:\.\d+)?)$/.exec(new URL(href).hash);
  return found && { x: Number(found[1]), y: Number(found[2]), k: Number(found[3]) };
}

/** The address with a fragment for the picture. */
export function withView(href, { x, y, k }) {
  const url = new URL(href);
  url.hash = `view=${Math.round(x)},${Math.round(y)},${k.toFixed(3)}`;
  return url.href;
}

/** The address of the graph as data: around `id`, one step to `side`, else as the page's address has it. */
export function expansion(href, address, own, id, side) {
  const url = new URL(address, href);
  const page = new URL(href).searchParams;
  for (const name of ["level", "at", "against"]) {
    const value = page.get(name) ?? own[name];
    if (value) url.searchParams.set(name, value);
  }
  url.searchParams.set("id", id);
  url.searchParams.set("direction", side);
  url.searchParams.set("depth", "1");
  return url.href;
}
