/** The upload field of a resource: files can be dropped on it, and their content is looked up in the catalog by its hash. */
import { md5 } from "./md5.js";

function element(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

const filled = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

class Upload {
  constructor(box) {
    this.box = box;
    this.words = JSON.parse(box.dataset.words);
    this.input = document.getElementById("field-resource-upload");
    if (!this.input) return;
    this.status = box.querySelector("[data-mlops-status]");
    this.known = box.querySelector("[data-mlops-known]");
    this.turn = 0;
    box.hidden = false;
    const zone = box.querySelector("[data-mlops-zone]");
    for (const kind of ["dragenter", "dragover"]) {
      zone.addEventListener(kind, (event) => {
        event.preventDefault();
        zone.classList.add("mlops-drop-over");
      });
    }
    zone.addEventListener("dragleave", () => zone.classList.remove("mlops-drop-over"));
    zone.addEventListener("drop", (event) => {
      event.preventDefault();
      zone.classList.remove("mlops-drop-over");
      this.take(event.dataTransfer.files);
    });
    // A file that is dropped beside the field would replace the page, and what was typed.
    for (const kind of ["dragover", "drop"]) window.addEventListener(kind, (event) => event.preventDefault());
    this.input.addEventListener("change", () => this.look(this.input.files[0]));
  }

  take(files) {
    if (!files.length) return;
    if (files.length > 1) {
      this.status.textContent = this.words.one;
      return;
    }
    const upload = document.getElementById("resource-url-upload");
    if (upload) upload.checked = true;
    this.input.files = files;
    // CKAN's own script listens with jQuery, which sees native events.
    this.input.dispatchEvent(new Event("change", { bubbles: true }));
  }

  async look(file) {
    const turn = ++this.turn;
    this.known.replaceChildren();
    this.status.textContent = "";
    if (!file) return;
    const hash = await md5(file, (done) => {
      const percent = file.size ? Math.floor((100 * done) / file.size) : 100;
      if (turn === this.turn) this.status.textContent = filled(this.words.hashing, { part: `${percent} %` });
      return turn === this.turn;
    });
    if (hash === null) return;
    this.status.textContent = filled(this.words.hash, { hash });
    const query = new URLSearchParams({ hash, without: this.box.dataset.dataset });
    try {
      const answer = await (await fetch(`${this.box.dataset.find}?${query}`, { headers: { Accept: "application/json" } })).json();
      if (turn === this.turn && answer.success) this.show(answer.result.results);
    } catch {
      // Without an answer the upload goes on as it would have.
    }
  }

  show(results) {
    if (!results.length) {
      this.known.append(element("p", this.words.unknown));
      return;
    }
    this.known.append(element("p", this.words.known));
    const list = element("ul");
    for (const each of results) {
      const item = element("li");
      item.append(element("a", each.title, { href: this.box.dataset.page.replace("_ID_", each.name), target: "_blank", rel: "noopener" }));
      const refs = each.version ? each.version.refs.join(", ") || each.version.commit.slice(0, 8) : "";
      item.append(" ", element("code", each.path), " ", element("span", refs, { class: "mlops-muted" }), " ");
      const button = element("button", this.words.link, { type: "button", class: "btn btn-sm btn-outline-secondary" });
      button.setAttribute("aria-label", filled(this.words.link_of, { title: each.title }));
      button.addEventListener("click", () => this.link(each, button));
      item.append(button);
      list.append(item);
    }
    this.known.append(list);
  }

  async link(holder, button) {
    button.disabled = true;
    const name = document.querySelector("meta[name=csrf_field_name]")?.content;
    const token = name && document.querySelector(`meta[name=${name}]`)?.content;
    const body = new FormData();
    body.set("dataset", holder.dataset);
    if (token) body.set(name, token);
    const answer = await fetch(this.box.dataset.link, { method: "POST", body, headers: { Accept: "application/json" } }).catch(() => null);
    const done = answer !== null && answer.ok;
    button.disabled = done;
    button.textContent = done ? this.words.linked : this.words.failed;
  }
}

document.querySelectorAll("[data-mlops-upload]").forEach((box) => new Upload(box));
