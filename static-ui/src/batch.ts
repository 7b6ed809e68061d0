/** A batch as somebody pastes it: a JSON array, the API's own `{"jobs": [...]}`, or a job a line. */

export const MOST_JOBS = 1_000;

export interface Batch {
  jobs: unknown[];
  /** Why it cannot be sent; null when it can. */
  problem: string | null;
}

export function readBatch(text: string): Batch {
  if (text.trim() === "") return refused("Nothing is pasted yet.");
  const read = readWhole(text) ?? readLines(text);
  if (typeof read === "string") return refused(read);
  if (read.length === 0) return refused("There is no job in it.");
  if (read.length > MOST_JOBS) return refused(`${read.length} jobs are too many: at most ${MOST_JOBS} go in one batch.`);
  const wrong = read.findIndex((job) => typeof job !== "object" || job === null || !("job_type" in job));
  if (wrong >= 0) return refused(`Job ${wrong + 1} has no "job_type".`);
  return { jobs: read, problem: null };
}

function refused(problem: string): Batch {
  return { jobs: [], problem };
}

/** The jobs, or null where the text is not one JSON value. */
function readWhole(text: string): unknown[] | null {
  try {
    const value: unknown = JSON.parse(text);
    if (Array.isArray(value)) return value;
    const jobs = (value as { jobs?: unknown } | null)?.jobs;
    return Array.isArray(jobs) ? jobs : [value];
  } catch {
    return null;
  }
}

/** The jobs, or which line is not JSON. */
function readLines(text: string): unknown[] | string {
  const jobs: unknown[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    try {
      jobs.push(JSON.parse(line));
    } catch {
      return `Line ${index + 1} is not JSON. Paste an array of jobs, or one job a line.`;
    }
  }
  return jobs;
}
