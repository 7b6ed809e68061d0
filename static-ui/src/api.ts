/** The HTTP API: one method a call, answers typed, every refusal an `ApiError`. */
import type { FunctionKey } from "./keys.ts";
import type { Job, JobPage, JobResult, JobType, NewJob } from "./model.ts";

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
}

export class Api {
  /** Absolute base address of the API, without a slash at its end. */
  readonly base: string;
  #key: FunctionKey;

  constructor(apiBase: string, key: FunctionKey) {
    this.base = new URL(`${apiBase.replace(/\/$/, "")}/api/v1`, window.location.href).href;
    this.#key = key;
  }

  async jobTypes(): Promise<JobType[]> {
    return (await this.#call<{ job_types: JobType[] }>("GET", "/job-types")).job_types;
  }

  submit(job: NewJob): Promise<Job> {
    return this.#call("POST", "/jobs", job);
  }

  jobs(limit: number, pageToken: string | null = null): Promise<JobPage> {
    const token = pageToken === null ? "" : `&page_token=${encodeURIComponent(pageToken)}`;
    return this.#call("GET", `/jobs?limit=${limit}${token}`);
  }

  job(jobId: string): Promise<Job> {
    return this.#call("GET", `/jobs/${encodeURIComponent(jobId)}`);
  }

  result(jobId: string): Promise<JobResult> {
    return this.#call("GET", `/jobs/${encodeURIComponent(jobId)}/result`);
  }

  async #call<T>(method: string, path: string, body?: unknown): Promise<T> {
    for (;;) {
      const key = this.#key.get();
      const response = await this.#send(method, path, body);
      if (response.status === 401 && (await this.#key.replace(key)) !== null) continue;
      return read<T>(response);
    }
  }

  async #send(method: string, path: string, body: unknown): Promise<Response> {
    const init: RequestInit = { method, headers: { accept: "application/json", ...this.#key.headers() } };
    if (body !== undefined) {
      init.headers = { ...init.headers, "content-type": "application/json" };
      init.body = JSON.stringify(body);
    }
    try {
      return await fetch(this.base + path, init);
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
