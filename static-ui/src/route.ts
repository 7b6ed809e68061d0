/** Where in the page one is, kept in the address after `#`, so that every place can be linked to. */

export interface Route {
  view: "jobs";
  /** The selected job, if any, as the address spells it. */
  jobId: string | null;
}

export const JOBS_ADDRESS = "#/jobs";

export function parseRoute(hash: string): Route {
  return { view: "jobs", jobId: /^#\/jobs\/([^/?]+)/.exec(hash)?.[1] ?? null };
}

export function jobAddress(jobId: string): string {
  return `${JOBS_ADDRESS}/${jobId}`;
}
