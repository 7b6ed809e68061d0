/** Where in the page one is, kept in the address after `#`, so that every place can be linked to. */

export type ViewName = "overview" | "jobs" | "job" | "queues" | "dead-letters" | "new" | "missing";

export interface Route {
  view: ViewName;
  /** The job of the view "job", as the address spells it; empty elsewhere. */
  jobId: string;
  query: URLSearchParams;
}

const VIEWS: Record<string, ViewName> = {
  "": "overview",
  jobs: "jobs",
  queues: "queues",
  "dead-letters": "dead-letters",
  new: "new",
};

export function parseRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#?\/?/, "").split("?", 2);
  const [first = "", jobId = "", ...rest] = path.split("/");
  const isJob = first === "jobs" && jobId !== "" && rest.length === 0;
  const known = jobId === "" && Object.hasOwn(VIEWS, first) ? VIEWS[first] : undefined;
  return { view: isJob ? "job" : (known ?? "missing"), jobId: isJob ? decode(jobId) : "", query: new URLSearchParams(query) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // What is no escape stands for itself.
    return text;
  }
}

/** The address of a view; empty values are left out. */
export function address(view: "" | "jobs" | "queues" | "dead-letters" | "new", query: Record<string, string> = {}): string {
  const given = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== ""));
  return `#/${view}${given.size > 0 ? `?${given}` : ""}`;
}

export function jobAddress(jobId: string): string {
  return `#/jobs/${encodeURIComponent(jobId)}`;
}

/** Go there without a new entry in the history: for what changes with every key. */
export function replaceAddress(hash: string): void {
  history.replaceState(null, "", hash);
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}
