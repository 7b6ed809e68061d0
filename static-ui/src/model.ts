/** The shapes of the HTTP API, as `api.ts` reads them and SignalR pushes them. Times are RFC 3339 in UTC. */

export const PRIORITIES = ["critical", "high", "medium", "low"] as const;
export type Priority = (typeof PRIORITIES)[number];

export const STATES = ["scheduled", "queued", "running", "retrying", "completed", "failed", "cancelled"] as const;
export type JobState = (typeof STATES)[number];

export interface JobError {
  code: string;
  message: string;
  retryable: boolean;
}

export interface Job {
  job_id: string;
  trace_id: string;
  tenant: string;
  job_type: string;
  priority: Priority;
  state: JobState;
  /** Per cent, 0 to 100. */
  progress: number;
  message: string;
  /** 0 until the first attempt has started. */
  attempt: number;
  max_attempts: number;
  created_at: string;
  updated_at: string;
  run_at: string;
  started_at: string | null;
  finished_at: string | null;
  error: JobError | null;
  tags: string[];
  links: { self: string; result: string };
}

export interface JobPage {
  jobs: Job[];
  next_page_token: string | null;
}

export interface Attempt {
  attempt: number;
  started_at: string;
  finished_at: string;
  /** completed, failed, timed_out, cancelled or lost */
  outcome: string;
  error: JobError | null;
  /** Counts the restarts, from 1. */
  run: number;
}

export interface TimelineEntry {
  at: string;
  progress: number;
  message: string;
}

/** A job with its payload, the attempts that have ended and what it has reported. */
export interface JobDetails extends Job {
  payload: Payload;
  attempts: Attempt[];
  timeline: TimelineEntry[];
}

/** How a job ended. */
export interface JobResult extends JobDetails {
  result: unknown;
}

export type Payload = Record<string, unknown>;

/** What `schema.ts` understands of JSON Schema 2020-12; everything else is passed over. */
export interface JsonSchema {
  $ref?: string;
  $defs?: Record<string, JsonSchema>;
  anyOf?: JsonSchema[];
  type?: string;
  enum?: unknown[];
  const?: unknown;
  title?: string;
  description?: string;
  default?: unknown;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  items?: JsonSchema;
  pattern?: string;
  format?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  minItems?: number;
  maxItems?: number;
}

/** Who stopped a queue or a job type, when and why; the reason may be empty. */
export interface Pause {
  at: string;
  by: string;
  reason: string;
}

export interface JobType {
  name: string;
  description: string;
  payload_schema: JsonSchema;
  example: Payload;
  defaults: { priority: Priority; max_retries: number; timeout_seconds: number };
  /** These three are missing on a server without flow control. */
  limits?: { rate_per_second: number | null; max_concurrent: number | null };
  paused?: Pause | null;
  breaker?: { state: "closed" | "open" | "half_open"; since: string | null; until: string | null; reason: string };
}

export interface NewJob {
  job_type: string;
  payload: Payload;
  priority?: Priority;
  run_at?: string;
  delay_seconds?: number;
  max_retries?: number;
  timeout_seconds?: number;
  tags?: string[];
}

/** What became of one job of a batch. */
export interface BatchRow {
  index: number;
  status: number;
  job?: Job;
  problem?: { title?: string; detail?: string; errors?: { pointer: string; detail: string }[] };
}

export interface BatchAnswer {
  accepted: number;
  rejected: number;
  results: BatchRow[];
}

export interface Queue {
  priority: Priority;
  active: number;
  scheduled: number;
  oldest_age_seconds: number | null;
  paused: Pause | null;
}

export interface Queues {
  as_of: string;
  queues: Queue[];
  dead: number;
  poison: number;
}

export interface Worker {
  instance_id: string;
  functions: string[];
  version: string;
  started_at: string;
  last_seen_at: string;
  slots: number;
  running: { job_id: string; job_type: string; priority: Priority; started_at: string }[];
}

export interface Percentiles {
  count: number;
  p50: number | null;
  p90: number | null;
  p99: number | null;
}

/** How many jobs came to each end. */
export interface Counts {
  submitted: number;
  completed: number;
  failed: number;
  cancelled: number;
  retried: number;
}

export interface Minute {
  minute: string;
  submitted: number;
  completed: number;
  failed: number;
  retried: number;
}

export interface Stats {
  as_of: string;
  totals: Counts & { processed: number; dead: number };
  /** `complete` is false where there were more jobs than the server counts. */
  open: { total: number; by_state: Partial<Record<JobState, number>>; by_job_type: Record<string, number>; complete: boolean };
  by_job_type: Record<string, Counts>;
  by_priority: Record<string, Counts>;
  /** The last 60 minutes, oldest first. */
  per_minute: Minute[];
  queue_wait_seconds: Record<string, Percentiles>;
  run_seconds: Record<string, Percentiles>;
}

export interface DeadLetter {
  message_id: string;
  reason: string;
  description: string;
  dead_since: string;
  /** These are null where the message cannot be read. */
  job_id: string | null;
  job_type: string | null;
  priority: Priority | null;
  run: number | null;
  attempt: number | null;
}

/** Which dead letters to act on; every condition that is given must hold. */
export interface DeadLetterFilter {
  job_ids?: string[];
  job_type?: string;
  reason?: string;
}

/** `more`: the call stopped at its limit; the same call goes on. */
export interface DeadLetterReport {
  matched: number;
  done: number;
  stale: number;
  skipped: number;
  more: boolean;
}

export interface PurgeReport {
  matched: number;
  cancelled: number;
  more: boolean;
}

export interface AuditEntry {
  at: string;
  by: string;
  action: string;
  target: string;
  reason: string;
}

export function isTerminal(state: JobState): boolean {
  return state === "completed" || state === "failed" || state === "cancelled";
}
