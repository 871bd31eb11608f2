/* The frame that draws plots: as high as its charts, light or dark as the page. It has no origin; only sizes are taken from it. */
ckan.module("mlops-plots", function () {
  "use strict";
  return {
    initialize: function () {
      const frame = this.el[0];
      // A theme says it (data-bs-theme), or its text is light because the reader prefers a dark window.
      const theme = () => {
        const said = document.documentElement.dataset.bsTheme;
        if (said === "dark" || said === "light") return said;
        const [red, green, blue] = getComputedStyle(frame.parentElement).color.match(/[\d.]+/g).map(Number);
        return 0.299 * red + 0.587 * green + 0.114 * blue > 140 ? "dark" : "light";
      };
      const tell = () => frame.contentWindow?.postMessage({ theme: theme() }, "*");
      window.addEventListener("message", ({ source, data }) => {
        if (source !== frame.contentWindow || typeof data?.mlopsPlots !== "number") return;
        if (data.mlopsPlots > 0) frame.style.height = `${Math.min(data.mlopsPlots, 20000)}px`;
        tell();
      });
      new MutationObserver(tell).observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tell);
      tell();
    },
  };
});
