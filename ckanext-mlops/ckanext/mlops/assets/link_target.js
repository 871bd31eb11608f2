/* Offers experiments, runs and models by name while a person types what a dataset is linked to. The field takes a name or
   id without this script as well; the list is the browser's own, which keyboards and screen readers know. */
(() => {
  if (window.mlopsLinkTarget) return;
  window.mlopsLinkTarget = true;
  const pause = 250;
  const most = 20;
  const root = () => (document.body.dataset.siteRoot || "/").replace(/\/?$/, "/");

  /** Experiments and models: what of them the field takes, and what is shown beside it. */
  const named = (kind, row) => (server, text) => ["mlops_link_target_list", { server, kind, q: text, limit: most },
    (found) => found.results.map(row)];
  /** The question for each kind, and what its answer is as [value, label]. */
  const kinds = {
    experiment: named("experiment", (each) => [each.name, each.target]),
    run: (server, text) => ["mlops_run_search",
      { server, filter: `attributes.run_name ILIKE '%${text.replace(/['"%\\]/g, "")}%'`, limit: most },
      (found) => found.results.map((each) => [each.run_id, [each.name, each.experiment_name].filter(Boolean).join(" · ")])],
    logged_model: named("logged_model", (each) => [each.target, each.name]),
    registered_model: named("registered_model", (each) => [each.target, ""]),
    model_version: named("model_version", (each) => [each.target, each.aliases.join(", ")]),
  };

  function attach(input) {
    const form = input.form;
    const list = document.createElement("datalist");
    list.id = `${input.id}-offered`;
    input.after(list);
    input.setAttribute("list", list.id);
    input.setAttribute("autocomplete", "off");
    let timer = 0, asked = null;

    async function ask() {
      asked?.abort();
      const kind = kinds[form.elements.kind.value];
      const text = input.value.trim();
      if (!kind || text.length < 2) {
        list.replaceChildren();
        return;
      }
      asked = new AbortController();
      const [action, values, rows] = kind(form.elements.server.value, text);
      try {
        const answer = await fetch(`${root()}api/3/action/${action}?${new URLSearchParams(values)}`, {
          headers: { Accept: "application/json" }, signal: asked.signal,
        });
        // Who may not look into MLflow servers types an id; so does everybody while the server is away.
        const found = answer.ok ? rows((await answer.json()).result) : [];
        list.replaceChildren(...found.map(([value, label]) => {
          const option = document.createElement("option");
          option.value = value;
          option.label = label;
          return option;
        }));
      } catch {
        // A newer question took its place, or the portal is away: the field works without.
      }
    }

    input.addEventListener("input", (event) => {
      clearTimeout(timer);
      // A choice from the list is no question.
      if (event.inputType && event.inputType !== "insertReplacementText") timer = setTimeout(ask, pause);
    });
    for (const name of ["server", "kind"]) {
      form.elements[name].addEventListener("change", () => list.replaceChildren());
    }
  }

  // Pages are swapped in place by htmx: the field is looked at when it gets the focus.
  document.addEventListener("focusin", (event) => {
    const input = event.target;
    if (input.matches?.("input[data-mlops-link-target]") && !input.hasAttribute("list")) attach(input);
  });
})();
