import type { Job } from "../src/model.ts";

/** A running job in its first attempt, but for `changes`. */
export function job(changes: Partial<Job> = {}): Job {
  return {
    job_id: "a",
    trace_id: "t",
    tenant: "default",
    job_type: "weather",
    priority: "medium",
    state: "running",
    progress: 0,
    message: "",
    attempt: 1,
    max_attempts: 4,
    created_at: "2026-01-01T00:00:00Z",
    updated_at: "2026-01-01T00:00:01Z",
    run_at: "2026-01-01T00:00:00Z",
    started_at: null,
    finished_at: null,
    error: null,
    tags: [],
    links: { self: "", result: "" },
    ...changes,
  };
}
