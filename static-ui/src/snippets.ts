/** What the form would send, as commands for sh. The key itself never appears: only where it goes. */
import { KEY_HEADER } from "./keys.ts";

export function curl(url: string, body: object, withKey: boolean): string {
  return [
    `curl -s ${url}`,
    "-H 'content-type: application/json'",
    ...(withKey ? [`-H "${KEY_HEADER}: $DTQ_KEY"`] : []),
    `-d ${quote(body)}`,
  ].join(" \\\n     ");
}

/** The `dtq` command, which reads the key from DTQ_KEY itself: each field of the body is an option, named with dashes. */
export function dtq(url: string, body: object): string {
  const { job_type, ...options } = body as Record<string, unknown>;
  return [
    `DTQ_URL=${url.replace("/api/v1/jobs", "")} dtq submit ${quote(job_type)}`,
    ...Object.entries(options).map(([name, value]) => `--${name.replaceAll("_", "-")} ${words(value).map(quote).join(" ")}`),
  ].join(" \\\n     ");
}

function words(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [value];
}

/** For sh: single quotes keep every character but themselves. */
function quote(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
