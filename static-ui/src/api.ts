/** The HTTP API: one method a call, answers typed, every refusal an `ApiError`. */
import type { FunctionKey } from "./keys.ts";
import type * as Model from "./model.ts";

/** Where one field of a request is wrong: a JSON pointer into the body and what is wrong there. */
export interface FieldProblem {
  pointer: string;
  detail: string;
}

/** An RFC 9457 problem document, as far as the page uses it. */
interface Problem {
  title?: string;
  detail?: string;
  code?: string;
  errors?: FieldProblem[];
}

/** The API refused a call, or could not be reached (`status` 0). The message is a sentence to show. */
export class ApiError extends Error {
  override name = "ApiError";
  readonly status: number;
  readonly code: string;
  readonly fields: FieldProblem[];

  constructor(status: number, problem: Problem) {
    super(problem.detail ?? problem.title ?? `The API answered with status ${status}.`);
    this.status = status;
    this.code = problem.code ?? "";
    this.fields = problem.errors ?? [];
  }

  /** The server does not know the call at all: its own 404s carry a code. */
  get isUnknownCall(): boolean {
    return this.status === 404 && this.code === "";
  }
}

export class Api {
  /** Absolute base address of the API, without a slash at its end. */
  readonly base: string;
  #key: FunctionKey;

  constructor(apiBase: string, key: FunctionKey) {
    this.base = new URL(`${apiBase.replace(/\/$/, "")}/api/v1`, window.location.href).href;
    this.#key = key;
  }

  async jobTypes(): Promise<Model.JobType[]> {
    return (await this.#call<{ job_types: Model.JobType[] }>("GET", "/job-types")).job_types;
  }

  submit(job: Model.NewJob): Promise<Model.Job> {
    return this.#call("POST", "/jobs", job);
  }

  submitBatch(jobs: unknown[]): Promise<Model.BatchAnswer> {
    return this.#call("POST", "/jobs/batch", { jobs });
  }

  /** A page of jobs, newest first; `query` holds the filters that the API knows. */
  jobs(query: Record<string, string>, limit: number, pageToken: string | null = null): Promise<Model.JobPage> {
    const parameters = new URLSearchParams({ ...query, limit: String(limit) });
    if (pageToken !== null) parameters.set("page_token", pageToken);
    return this.#call("GET", `/jobs?${parameters}`);
  }

  job(jobId: string): Promise<Model.Job> {
    return this.#call("GET", jobPath(jobId));
  }

  details(jobId: string): Promise<Model.JobDetails> {
    return this.#call("GET", `${jobPath(jobId)}/details`);
  }

  result(jobId: string): Promise<Model.JobResult> {
    return this.#call("GET", `${jobPath(jobId)}/result`);
  }

  /** The job as it is now: cancelled, or still running and asked to give way. */
  cancel(jobId: string): Promise<Model.Job> {
    return this.#call("DELETE", jobPath(jobId));
  }

  retry(jobId: string): Promise<Model.Job> {
    return this.#call("POST", `${jobPath(jobId)}/retry`);
  }

  queues(): Promise<Model.Queues> {
    return this.#call("GET", "/queues");
  }

  /** Stop or start the handling of `/queues/low` or `/job-types/weather`. */
  async setPaused(path: string, paused: boolean, reason = ""): Promise<void> {
    await this.#call("POST", `${path}/${paused ? "pause" : "resume"}`, paused && reason !== "" ? { reason } : {});
  }

  /** Cancel the waiting jobs of a queue. */
  purgeQueue(priority: Model.Priority, dryRun: boolean): Promise<Model.PurgeReport> {
    return this.#call("POST", `/queues/${priority}/purge`, { dry_run: dryRun });
  }

  async workers(): Promise<Model.Worker[]> {
    return (await this.#call<{ workers: Model.Worker[] }>("GET", "/workers")).workers;
  }

  stats(): Promise<Model.Stats> {
    return this.#call("GET", "/stats");
  }

  async audit(limit: number): Promise<Model.AuditEntry[]> {
    return (await this.#call<{ entries: Model.AuditEntry[] }>("GET", `/audit?limit=${limit}`)).entries;
  }

  async deadLetters(limit: number): Promise<Model.DeadLetter[]> {
    return (await this.#call<{ dead_letters: Model.DeadLetter[] }>("GET", `/dead-letters?limit=${limit}`)).dead_letters;
  }

  /** Replay or purge what matches, up to `limit` letters a call; a dry run only counts. */
  deadLetterAction(
    action: "replay" | "purge",
    filter: Model.DeadLetterFilter,
    limit: number,
    dryRun = false,
  ): Promise<Model.DeadLetterReport> {
    return this.#call("POST", `/dead-letters/${action}`, { ...filter, limit, dry_run: dryRun });
  }

  /** The services that a job needs, by name, "ok" or what is wrong. */
  async readiness(): Promise<Record<string, string>> {
    const response = await this.#send("GET", new URL("../readyz", `${this.base}/`).href, undefined);
    // 503 names the service that does not answer.
    if (response.status === 503) return ((await response.json()) as { checks: Record<string, string> }).checks;
    return (await read<{ checks: Record<string, string> }>(response)).checks;
  }

  async #call<T>(method: string, path: string, body?: unknown): Promise<T> {
    for (;;) {
      const key = this.#key.get();
      const response = await this.#send(method, this.base + path, body);
      if (response.status === 401 && (await this.#key.replace(key)) !== null) continue;
      return read<T>(response);
    }
  }

  async #send(method: string, address: string, body: unknown): Promise<Response> {
    const init: RequestInit = { method, headers: { accept: "application/json", ...this.#key.headers() } };
    if (body !== undefined) {
      init.headers = { ...init.headers, "content-type": "application/json" };
      init.body = JSON.stringify(body);
    }
    try {
      return await fetch(address, init);
    } catch {
      throw new ApiError(0, { detail: "The API cannot be reached.", code: "unreachable" });
    }
  }
}

async function read<T>(response: Response): Promise<T> {
  if (response.ok) return (await response.json()) as T;
  const isProblem = response.headers.get("content-type")?.includes("json") ?? false;
  const problem = isProblem ? ((await response.json()) as Problem) : {};
  if (response.status === 401) problem.detail ??= "The API wants a function key. Load the page again to enter one.";
  throw new ApiError(response.status, problem);
}

function jobPath(jobId: string): string {
  return `/jobs/${encodeURIComponent(jobId)}`;
}
