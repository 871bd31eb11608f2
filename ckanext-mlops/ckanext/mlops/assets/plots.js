/* The frame that draws plots: as high as its charts, light or dark as the page. It has no origin; only sizes are taken from it. */
ckan.module("mlops-plots", function () {
  "use strict";
  return {
    initialize: function () {
      const frame = this.el[0];
      const theme = () => (document.documentElement.dataset.bsTheme === "dark" ? "dark" : "light");
      const tell = () => frame.contentWindow.postMessage({ theme: theme() }, "*");
      window.addEventListener("message", ({ source, data }) => {
        if (source !== frame.contentWindow || typeof data?.mlopsPlots !== "number") return;
        if (data.mlopsPlots > 0) frame.style.height = `${Math.min(data.mlopsPlots, 20000)}px`;
        tell();
      });
      new MutationObserver(tell).observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });
      tell();
    },
  };
});
