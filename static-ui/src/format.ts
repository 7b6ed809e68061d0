/** Times, durations and numbers as text. */

const UNITS: [seconds: number, name: string][] = [
  [86_400, "d"],
  [3_600, "h"],
  [60, "min"],
  [1, "s"],
];

/** Made once: making one costs more than a hundred uses of it. */
const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const COUNT = new Intl.NumberFormat("en");

/** "12 s ago", "in 3 min"; within two seconds "just now", which also hides small differences between clocks. */
export function relativeTime(time: string, now: number): string {
  const distance = Math.round((now - Date.parse(time)) / 1_000);
  if (Math.abs(distance) <= 2) return "just now";
  const [size, name] = UNITS.find(([each]) => Math.abs(distance) >= each) ?? [1, "s"];
  const text = `${Math.floor(Math.abs(distance) / size)} ${name}`;
  return distance > 0 ? `${text} ago` : `in ${text}`;
}

/** The same instant to the second on the reader's clock. */
export function exactTime(time: string): string {
  return EXACT.format(Date.parse(time));
}

/** The time of day. */
export function clockTime(time: string | number): string {
  return CLOCK.format(typeof time === "number" ? time : Date.parse(time));
}

/** The time from one instant to another, as `seconds` writes it. */
export function duration(from: string, to: string): string {
  return seconds((Date.parse(to) - Date.parse(from)) / 1_000);
}

/** "350 ms", "1.2 s", "2 min 5 s", "3 h 10 min", "2 d 4 h"; a dash where it is not known. */
export function seconds(value: number | null): string {
  if (value === null) return "–";
  const ms = Math.round(Math.max(0, value) * 1_000);
  if (ms < 1_000) return `${ms} ms`;
  if (ms < 59_950) return `${(ms / 1_000).toFixed(1)} s`;
  const whole = Math.floor((ms + 50) / 1_000);
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3_600)} h ${Math.floor((whole % 3_600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3_600)} h`;
}

/** "12,345"; a dash where it is not known. */
export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : COUNT.format(value);
}
