/** What the form would send, as a command and as a program. The key itself never appears: only where it goes. */
import { KEY_HEADER } from "./keys.ts";

/** A command for sh: single quotes keep every character but themselves. */
export function curl(url: string, body: unknown, withKey: boolean): string {
  const quoted = JSON.stringify(body).replaceAll("'", `'\\''`);
  return [
    `curl -s ${url}`,
    "-H 'content-type: application/json'",
    ...(withKey ? [`-H "${KEY_HEADER}: $DTQ_KEY"`] : []),
    `-d '${quoted}'`,
  ].join(" \\\n     ");
}

export function python(url: string, body: unknown, withKey: boolean): string {
  return [
    ...(withKey ? ["import os", ""] : []),
    "import requests",
    "",
    "response = requests.post(",
    `    ${JSON.stringify(url)},`,
    `    json=${literal(body, 1)},`,
    ...(withKey ? [`    headers={"${KEY_HEADER}": os.environ["DTQ_KEY"]},`] : []),
    "    timeout=30,",
    ")",
    "response.raise_for_status()",
    "print(response.json())",
  ].join("\n");
}

/** A JSON value as Python writes it. JSON's text literals are Python's too, but for lone surrogates, which both escape. */
function literal(value: unknown, depth: number): string {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const pad = "    ".repeat(depth + 1);
  const end = "    ".repeat(depth);
  if (Array.isArray(value)) return `[${value.map((each) => literal(each, depth)).join(", ")}]`;
  const members = Object.entries(value).map(([key, each]) => `${pad}${JSON.stringify(key)}: ${literal(each, depth + 1)},\n`);
  return members.length === 0 ? "{}" : `{\n${members.join("")}${end}}`;
}
