/** Times and durations as text. */

const UNITS: [seconds: number, name: string][] = [
  [86_400, "d"],
  [3_600, "h"],
  [60, "min"],
  [1, "s"],
];

/** "12 s ago", "in 3 min"; within two seconds "just now", which also hides small differences between clocks. */
export function relativeTime(time: string, now: number): string {
  const seconds = Math.round((now - Date.parse(time)) / 1_000);
  const distance = Math.abs(seconds);
  if (distance <= 2) return "just now";
  const [size, name] = UNITS.find(([each]) => distance >= each) ?? [1, "s"];
  const text = `${Math.floor(distance / size)} ${name}`;
  return seconds > 0 ? `${text} ago` : `in ${text}`;
}

/** The same instant to the second on the reader's clock. */
export function exactTime(time: string): string {
  return new Date(time).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" });
}

/** The time from one instant to another: "350 ms", "1.2 s", "2 min 5 s", "3 h 10 min". */
export function duration(from: string, to: string): string {
  const ms = Math.max(0, Date.parse(to) - Date.parse(from));
  if (ms < 1_000) return `${ms} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min ${Math.floor((ms % 60_000) / 1_000)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
