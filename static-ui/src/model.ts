/** The shapes of the HTTP API, as `api.ts` reads them and SignalR pushes them. Times are RFC 3339 in UTC. */

export const PRIORITIES = ["critical", "high", "medium", "low"] as const;
export type Priority = (typeof PRIORITIES)[number];

export type JobState = "scheduled" | "queued" | "running" | "retrying" | "completed" | "failed" | "cancelled";

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
  run_at: string | null;
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
  outcome: string;
  error: JobError | null;
}

export interface TimelineEntry {
  at: string;
  progress: number;
  message: string;
}

export interface JobResult {
  job_id: string;
  state: JobState;
  result: unknown;
  error: JobError | null;
  attempts: Attempt[];
  timeline: TimelineEntry[];
}

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
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  minItems?: number;
  maxItems?: number;
}

export interface JobType {
  name: string;
  description: string;
  payload_schema: JsonSchema;
  example: Record<string, unknown>;
  defaults: { priority: Priority; max_retries: number; timeout_seconds: number };
}

export interface NewJob {
  job_type: string;
  payload: Record<string, unknown>;
  priority: Priority;
}

export function isTerminal(state: JobState): boolean {
  return state === "completed" || state === "failed" || state === "cancelled";
}
