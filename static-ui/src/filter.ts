/** Which jobs the list shows: what the API filters by, and what the page alone looks for among the jobs it has read. */
import { type Job, PRIORITIES, STATES } from "./model.ts";

/** Empty means any. */
export type JobFilter = {
  state: string;
  job_type: string;
  priority: string;
  tag: string;
  text: string;
};

export const NO_FILTER: JobFilter = { state: "", job_type: "", priority: "", tag: "", text: "" };

/** The filter that an address asks for. What no job can have is no filter. */
export function readFilter(query: URLSearchParams): JobFilter {
  const oneOf = (name: string, known: readonly string[]): string => known.find((each) => each === query.get(name)) ?? "";
  return {
    state: oneOf("state", STATES),
    job_type: query.get("job_type") ?? "",
    priority: oneOf("priority", PRIORITIES),
    tag: query.get("tag") ?? "",
    text: query.get("text") ?? "",
  };
}

/** The part that the API filters by. */
export function serverPart(filter: JobFilter): Record<string, string> {
  const { state, job_type, priority } = filter;
  return Object.fromEntries(Object.entries({ state, job_type, priority }).filter(([, value]) => value !== ""));
}

export function matchesServerPart(filter: JobFilter, job: Job): boolean {
  return (
    (filter.state === "" || job.state === filter.state) &&
    (filter.job_type === "" || job.job_type === filter.job_type) &&
    (filter.priority === "" || job.priority === filter.priority)
  );
}

export function searchesText(filter: JobFilter): boolean {
  return filter.tag !== "" || filter.text !== "";
}

/** Whether a job has the tag and contains the text, in whatever case, in an id, its type, tags, message or error. */
export function matchesText(filter: JobFilter, job: Job): boolean {
  if (filter.tag !== "" && !job.tags.includes(filter.tag)) return false;
  const text = filter.text.trim().toLowerCase();
  if (text === "") return true;
  const { job_id, trace_id, job_type, message, tags, error } = job;
  return [job_id, trace_id, job_type, message, error?.code ?? "", error?.message ?? "", ...tags].some((each) =>
    each.toLowerCase().includes(text),
  );
}

/** A whole job id, as somebody pastes it into the search. */
export function isJobId(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text.trim());
}
