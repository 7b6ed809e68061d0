import { Api } from "./api.ts";
import { Changes } from "./changes.ts";
import { Feed } from "./feed.ts";
import { FunctionKey } from "./keys.ts";
import { LiveUpdates } from "./live.ts";
import { JobStore } from "./store.ts";
import { App } from "./views/app.ts";
import { askForKey } from "./views/key-dialog.ts";

/** `config.json` beside index.html: where the API is. Empty means where the page came from. */
interface Config {
  apiBase: string;
}

async function readConfig(): Promise<Config> {
  const response = await fetch("config.json", { cache: "no-cache" });
  if (!response.ok) throw new Error(`config.json cannot be read: status ${response.status}.`);
  return (await response.json()) as Config;
}

async function main(): Promise<void> {
  const { apiBase } = await readConfig();
  const key = new FunctionKey(askForKey);
  const api = new Api(apiBase, key);
  const changes = new Changes();
  const store = new JobStore(changes.notify);
  const feed = new Feed(api, store);
  const live = new LiveUpdates(api, store, feed, key, changes.notify);
  const app = new App();
  app.services = { api, changes, store, feed, live };
  document.getElementById("app")?.replaceChildren(app);
  live.start();
}

main().catch((error: unknown) => {
  const place = document.getElementById("app");
  if (place !== null) place.textContent = `The page cannot start. ${String(error)}`;
  throw error;
});
