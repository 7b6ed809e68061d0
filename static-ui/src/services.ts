import type { Api } from "./api.ts";
import type { Changes } from "./changes.ts";
import type { Feed } from "./feed.ts";
import type { FunctionKey } from "./keys.ts";
import type { LiveUpdates } from "./live.ts";
import type { AuditEntry, DeadLetter, Job, JobType, Queues, Stats, Worker } from "./model.ts";
import type { Polled } from "./polled.ts";
import type { QueueHistory } from "./queue-history.ts";
import type { JobStore } from "./store.ts";

/** What every view works with; made once, in `main.ts`. */
export interface Services {
  api: Api;
  key: FunctionKey;
  changes: Changes;
  store: JobStore;
  feed: Feed;
  live: LiveUpdates;
  queues: Polled<Queues>;
  history: QueueHistory;
  stats: Polled<Stats>;
  workers: Polled<Worker[]>;
  jobTypes: Polled<JobType[]>;
  readiness: Polled<Record<string, string>>;
  failures: Polled<Job[]>;
  audit: Polled<AuditEntry[]>;
  deadLetters: Polled<DeadLetter[]>;
  /** Tell what came of something that the person did. */
  say: (text: string, isError?: boolean) => void;
}
