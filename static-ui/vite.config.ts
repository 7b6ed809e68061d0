import { defineConfig } from "vite";

export default defineConfig({
  // Relative addresses: the page works at `/` and in any folder of a static website.
  base: "./",
  build: {
    // The first browsers with light-dark(), which the style sheet stands on.
    target: ["chrome123", "edge123", "firefox120", "safari17.5"],
    // The policy of index.html refuses inline scripts, and the browsers of the target preload modules themselves.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
  },
  server: {
    proxy: { "/api": "http://127.0.0.1:7071" },
  },
});
