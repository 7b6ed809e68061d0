import type { Api } from "./api.ts";
import type { Changes } from "./changes.ts";
import type { Feed } from "./feed.ts";
import type { LiveUpdates } from "./live.ts";
import type { JobStore } from "./store.ts";

/** What every view works with; made once, in `main.ts`. */
export interface Services {
  api: Api;
  changes: Changes;
  store: JobStore;
  feed: Feed;
  live: LiveUpdates;
}
