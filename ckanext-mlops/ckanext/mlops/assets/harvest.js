/* Follows a harvest or preview that is under way: says how far it is, and shows the page anew when it is there. */
(() => {
  const every = 1500;
  const busy = new Set(["waiting", "reading", "writing", "reverting"]);

  function follow(box) {
    const said = box.querySelector("[data-mlops-said]");
    const bar = box.querySelector("progress");
    const query = new URLSearchParams({ id: box.dataset.mlopsId });
    if (box.dataset.mlopsLive.endsWith("mlops_harvest_report")) query.set("limit", "0");
    const address = `${box.dataset.mlopsLive}?${query}`;
    let stage = null;

    async function ask() {
      try {
        const answer = await (await fetch(address, { headers: { Accept: "application/json" } })).json();
        if (!answer.success) return;
        const now = answer.result.stage || answer.result.state;
        if (!busy.has(now) || (stage !== null && stage !== now)) {
          window.location.reload();
          return;
        }
        stage = now;
        const progress = answer.result.progress;
        if (typeof progress === "string") {
          if (progress) said.textContent = answer.result.told;
        } else {
          if (progress.total) {
            bar.max = progress.total;
            bar.value = progress.done;
          }
          const counted = progress.total ? `${progress.done.toLocaleString()} / ${progress.total.toLocaleString()}` : "";
          const text = [progress.told, counted].filter(Boolean).join(" · ");
          if (text && text !== said.textContent) said.textContent = text;
        }
      } catch {
        // The portal is away for a moment: asked again below.
      }
      setTimeout(ask, every);
    }
    setTimeout(ask, every);
  }

  document.querySelectorAll("[data-mlops-live]").forEach(follow);
})();
