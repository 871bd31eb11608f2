/* Suggestions while a person types into a search box: a combobox as WAI-ARIA describes it. The box stays a plain text
   field without this script. An element with data-mlops-suggest names the box and holds the words. */
(() => {
  if (window.mlopsSuggest) return;
  window.mlopsSuggest = true;
  const pause = 150;
  const root = () => (document.body.dataset.siteRoot || "/").replace(/\/?$/, "/");

  /** The word at the cursor: where it begins and ends, with quoted values whole. */
  function wordAt(text, cursor) {
    for (const match of text.matchAll(/[^\s":]*:"[^"]*"?|\S+/g)) {
      if (match.index < cursor && cursor <= match.index + match[0].length) {
        return { begin: match.index, end: match.index + match[0].length, word: match[0] };
      }
    }
    return null;
  }

  function attach(input, holder) {
    const words = JSON.parse(holder.dataset.mlopsWords);
    const list = document.createElement("ul");
    const said = document.createElement("div");
    list.id = `${input.id}-suggestions`;
    list.className = "mlops-suggestions";
    list.hidden = true;
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", words.label);
    said.className = "visually-hidden";
    said.setAttribute("role", "status");
    holder.append(list, said);
    for (const [name, value] of Object.entries({
      role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id,
      autocomplete: "off",
    })) input.setAttribute(name, value);

    let timer = 0, asked = null, active = -1, found = [];

    function close() {
      clearTimeout(timer);
      asked?.abort();
      list.hidden = true;
      active = -1;
      input.setAttribute("aria-expanded", "false");
      input.removeAttribute("aria-activedescendant");
    }

    function mark(number) {
      list.children[active]?.setAttribute("aria-selected", "false");
      active = number;
      const option = list.children[active];
      if (!option) {
        input.removeAttribute("aria-activedescendant");
        return;
      }
      option.setAttribute("aria-selected", "true");
      option.scrollIntoView({ block: "nearest" });
      input.setAttribute("aria-activedescendant", option.id);
    }

    function choose(number) {
      const { term, page } = found[number];
      close();
      if (page) {
        window.location.assign(page);
        return;
      }
      const at = wordAt(input.value, input.selectionStart);
      const begin = at ? at.begin : input.value.length;
      const after = /[:>]$/.test(term) ? "" : " ";
      input.setRangeText(term + after, begin, at ? at.end : begin, "end");
      input.focus();
      // "column:" and "accuracy:>" ask for their value next.
      if (!after) timer = setTimeout(ask, pause);
    }

    function place() {
      const box = input.getBoundingClientRect();
      const around = (list.offsetParent || document.documentElement).getBoundingClientRect();
      list.style.left = `${box.left - around.left}px`;
      list.style.top = `${box.bottom - around.top}px`;
      list.style.width = `${Math.max(box.width, Math.min(320, window.innerWidth - box.left - 8))}px`;
    }

    function show() {
      list.replaceChildren(...found.map((each, number) => {
        const option = document.createElement("li");
        const kind = document.createElement("span");
        const text = document.createElement("span");
        const count = document.createElement("span");
        option.id = `${list.id}-${number}`;
        option.setAttribute("role", "option");
        option.setAttribute("aria-selected", "false");
        kind.className = "mlops-suggestion-kind";
        kind.textContent = words.kinds[each.kind] || each.kind;
        text.className = "mlops-suggestion-text";
        text.textContent = each.text;
        count.className = "mlops-suggestion-count";
        count.textContent = each.page ? "" : each.count.toLocaleString(document.documentElement.lang || undefined);
        option.append(kind, " ", text, " ", count);
        // The box keeps the focus: leaving it would send the form.
        option.addEventListener("mousedown", (event) => event.preventDefault());
        option.addEventListener("click", () => choose(number));
        return option;
      }));
      active = -1;
      input.removeAttribute("aria-activedescendant");
      list.hidden = found.length === 0;
      input.setAttribute("aria-expanded", String(!list.hidden));
      said.textContent = found.length ? words.found.replace("{n}", found.length) : words.none;
      if (!list.hidden) place();
    }

    async function ask() {
      const at = wordAt(input.value, input.selectionStart);
      if (!at || at.word.length < 2 || document.activeElement !== input) {
        close();
        return;
      }
      asked?.abort();
      asked = new AbortController();
      try {
        const query = new URLSearchParams({ q: at.word });
        const answer = await fetch(`${root()}api/3/action/mlops_search_suggest?${query}`, {
          headers: { Accept: "application/json" }, signal: asked.signal,
        });
        if (!answer.ok) return;
        found = (await answer.json()).result;
        show();
      } catch {
        // A newer question took its place, or the portal is away: the box works without.
      }
    }

    input.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(ask, pause);
    });
    input.addEventListener("blur", close);
    input.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      if (list.hidden) {
        if (event.key === "ArrowDown" && input.value.trim()) {
          event.preventDefault();
          ask();
        }
        return;
      }
      const last = found.length - 1;
      if (event.key === "ArrowDown") mark(active < last ? active + 1 : 0);
      else if (event.key === "ArrowUp") mark(active > 0 ? active - 1 : last);
      else if (event.key === "Enter" && active >= 0) choose(active);
      else if (event.key === "Escape") close();
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
  }

  // Pages are swapped in place by htmx: a box is looked at when it gets the focus.
  function look(input) {
    if (!input?.id || input.getAttribute("role") === "combobox") return;
    const holder = document.querySelector(`[data-mlops-suggest="${CSS.escape(input.id)}"]`);
    if (holder) attach(input, holder);
  }
  document.addEventListener("focusin", (event) => look(event.target));
  look(document.activeElement);
})();
