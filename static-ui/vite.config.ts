import { defineConfig, type Plugin } from "vite";

/**
 * Leaves out of @microsoft/signalr what this page does not use, a sixth of it: where no WebSocket goes through, the
 * page reads the API every few seconds instead of falling back to another transport; every browser it is built for has
 * fetch; and it asks for no stateful reconnect (MessageBuffer) and no stream (Subject).
 */
function withoutFallbacks(): Plugin {
  const unused = /\/@microsoft\/signalr\/dist\/esm\/(LongPollingTransport|ServerSentEventsTransport|XhrHttpClient|MessageBuffer|Subject)\.js$/;
  return {
    name: "without-signalr-fallbacks",
    enforce: "pre",
    load(id) {
      const name = unused.exec(id.replaceAll("\\", "/"))?.[1];
      return name === undefined ? null : `export class ${name} {}`;
    },
  };
}

export default defineConfig({
  plugins: [withoutFallbacks()],
  // Relative addresses: the page works at `/` and in any folder of a static website.
  base: "./",
  build: {
    // The first browsers with light-dark(), which the style sheet stands on.
    target: ["chrome123", "edge123", "firefox120", "safari17.5"],
    // The page is one script, and terser makes it a little smaller than the default does: it shortens also the internal
    // names of its libraries, which begin with an underscore and never leave the page.
    modulePreload: false,
    minify: "terser",
    terserOptions: { module: true, compress: { passes: 3 }, mangle: { properties: { regex: /^_[a-z]/ } } },
    assetsInlineLimit: 0,
  },
  server: {
    proxy: { "/api": "http://127.0.0.1:7071" },
  },
});
