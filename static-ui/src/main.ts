import { Api } from "./api.ts";
import { Changes } from "./changes.ts";
import { Feed } from "./feed.ts";
import { FunctionKey } from "./keys.ts";
import { LiveUpdates } from "./live.ts";
import { Polled } from "./polled.ts";
import { QueueHistory } from "./queue-history.ts";
import { JobStore } from "./store.ts";
import { App } from "./views/app.ts";
import { askForKey } from "./views/dialog.ts";

/** `config.json` beside index.html: where the API is. Empty means where the page came from. */
interface Config {
  apiBase: string;
}

const QUEUES_MS = 5_000;
const FIGURES_MS = 10_000;
const SLOW_MS = 30_000;
/** What the lists beside the figures show. */
const RECENT_FAILURES = 8;
const RECENT_OPERATIONS = 20;
/** The most that the API gives in one answer. */
const DEAD_LETTERS = 200;

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
  const history = new QueueHistory();
  const workers = new Polled(() => api.workers(), FIGURES_MS, changes.notify);
  const polled = <T>(read: () => Promise<T>, everyMs: number): Polled<T> => new Polled(read, everyMs, changes.notify);
  const app = new App();
  app.services = {
    ...{ api, key, changes, store, feed, live, history, workers },
    queues: polled(async () => {
      const queues = await api.queues();
      history.add(queues, workers.value, Date.now());
      return queues;
    }, QUEUES_MS),
    stats: polled(() => api.stats(), FIGURES_MS),
    jobTypes: polled(() => api.jobTypes(), FIGURES_MS),
    readiness: polled(() => api.readiness(), SLOW_MS),
    failures: polled(async () => (await api.jobs({ state: "failed" }, RECENT_FAILURES)).jobs, FIGURES_MS),
    audit: polled(() => api.audit(RECENT_OPERATIONS), SLOW_MS),
    deadLetters: polled(() => api.deadLetters(DEAD_LETTERS), FIGURES_MS),
    say: (text, isError = false) => app.say(text, isError),
  };
  document.getElementById("app")?.replaceChildren(app);
  live.start();
}

main().catch((error: unknown) => {
  const place = document.getElementById("app");
  if (place !== null) place.textContent = `The page cannot start. ${String(error)}`;
  throw error;
});
