import { html, type TemplateResult } from "lit-html";
import { guard } from "lit-html/directives/guard.js";
import uPlot from "uplot";
import { clockTime, count } from "../format.ts";
import type { Stats } from "../model.ts";
import { type Changed, View } from "./view.ts";

const HEIGHT = 190;
const AXIS = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
/** Lines differ by their dashes too, not by colour alone. */
const DASHES = [[], [8, 4], [2, 3], [12, 3, 2, 3]];

export interface Line {
  name: string;
  /** A class `line-NAME` of the style sheet gives it its colour. */
  colour: string;
  values: (number | null)[];
}

/** Lines over time, the values at the pointer in their legend, and the same figures as a table. */
class TimeChart extends View {
  static override properties = ["label", "times", "lines", "text", "index"];
  declare label: string;
  /** Seconds since 1970, ascending; a value of each line belongs to each. */
  declare times: number[];
  declare lines: Line[];
  declare text: (value: number) => string;
  /** Which time the pointer is at; null when it is elsewhere. */
  declare private index: number | null;
  #plot: uPlot | null = null;
  #resized = new ResizeObserver(() => this.#resize());
  #darkness = window.matchMedia("(prefers-color-scheme: dark)");

  constructor() {
    super();
    this.index = null;
  }

  protected override render(): TemplateResult {
    const at = this.index ?? this.times.length - 1;
    return html`<ul class="legend" aria-hidden="true">
        <li class="legend-time">${this.times[at] === undefined ? "" : clockTime(this.times[at] * 1_000)}</li>
        ${this.lines.map(
          (line) => html`<li class="line-${line.colour}">
            <i></i> ${line.name} <b>${this.#value(line, at)}</b>
          </li>`,
        )}
      </ul>
      <div class="plot" role="img" aria-label="${this.label}; the table below has the figures"></div>
      <details>
        <summary>The figures as a table</summary>
        <div class="table figures" role="group" tabindex="0" aria-label=${this.label}>
          <table>
            <thead>
              <tr><th scope="col">Time</th>${this.lines.map((line) => html`<th scope="col" class="number">${line.name}</th>`)}</tr>
            </thead>
            <tbody>${this.#isOpen ? this.times.map((_, row) => this.#renderRow(this.times.length - 1 - row)) : ""}</tbody>
          </table>
        </div>
      </details>`;
  }

  protected override firstUpdated(): void {
    this.querySelector("details")?.addEventListener("toggle", () => this.requestUpdate());
    window.addEventListener("dtq-theme", this.#redraw);
    this.#darkness.addEventListener("change", this.#redraw);
    this.#draw();
  }

  protected override updated(changed: Changed): void {
    if (changed.has("times")) this.#plot?.setData(this.#data);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#resized.disconnect();
    window.removeEventListener("dtq-theme", this.#redraw);
    this.#darkness.removeEventListener("change", this.#redraw);
    this.#plot?.destroy();
  }

  get #data(): uPlot.AlignedData {
    return [this.times, ...this.lines.map((line) => line.values)];
  }

  /** A table of hundreds of rows is made only when somebody opens it. */
  get #isOpen(): boolean {
    return this.querySelector("details")?.open === true;
  }

  #renderRow(row: number): TemplateResult {
    return html`<tr>
      <td>${clockTime((this.times[row] ?? 0) * 1_000)}</td>
      ${this.lines.map((line) => html`<td class="number">${this.#value(line, row)}</td>`)}
    </tr>`;
  }

  #value(line: Line, row: number): string {
    const value = line.values[row];
    return value === null || value === undefined ? "–" : this.text(value);
  }

  #draw(): void {
    const place = this.querySelector<HTMLElement>(".plot");
    if (place === null) return;
    const grid = { stroke: () => this.#colour("grid"), width: 1 };
    const axis = { stroke: () => this.#colour("axis"), grid, ticks: grid, font: "12px system-ui, sans-serif" };
    this.#plot = new uPlot(
      {
        width: place.clientWidth,
        height: HEIGHT,
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false } },
        scales: { y: { range: (_, _low, high) => [0, Math.max(1, high * 1.1)] } },
        axes: [
          { ...axis, values: (_, times) => times.map(axisTime), space: 96, size: 30 },
          { ...axis, values: (_, values) => values.map((value) => this.text(value)), size: 72 },
        ],
        series: [
          {},
          ...this.lines.map((line, index) => ({
            label: line.name,
            stroke: () => this.#colour(line.colour),
            width: 1.5,
            dash: DASHES[index] ?? [],
            points: { show: false },
          })),
        ],
        hooks: { setCursor: [(plot) => (this.index = plot.cursor.idx ?? null)] },
      },
      this.#data,
      place,
    );
    this.#resized.observe(place);
  }

  #resize(): void {
    const width = this.querySelector(".plot")?.clientWidth ?? 0;
    if (width > 0) this.#plot?.setSize({ width, height: HEIGHT });
  }

  #redraw = (): void => this.#plot?.redraw();

  /** The style sheet's colour in the scheme that holds now: a canvas does not follow it by itself. */
  #colour(name: string): string {
    const sample = document.createElement("i");
    sample.className = `line-${name}`;
    this.append(sample);
    const { color } = getComputedStyle(sample);
    sample.remove();
    return color;
  }
}

/** Seconds since 1970 as the time of day; seconds only where the axis is that fine. */
function axisTime(time: number): string {
  return time % 60 === 0 ? AXIS.format(time * 1_000) : clockTime(time * 1_000);
}

/** A chart that is made again only when its source was read again: views render far more often. */
export function chart(
  source: unknown,
  label: string,
  text: (value: number) => string,
  series: () => { times: number[]; lines: Line[] },
): TemplateResult {
  return html`${guard([source], () => {
    const { times, lines } = series();
    return html`<time-chart .label=${label} .times=${times} .lines=${lines} .text=${text}></time-chart>`;
  })}`;
}

/** What was completed, failed and submitted in each minute. */
export function throughput(stats: Stats): TemplateResult {
  const minutes = stats.per_minute;
  return chart(stats, "Jobs a minute over the last hour", count, () => ({
    times: minutes.map((minute) => Date.parse(minute.minute) / 1_000),
    lines: (["completed", "failed", "submitted"] as const).map((name) => ({
      name,
      colour: name,
      values: minutes.map((minute) => minute[name]),
    })),
  }));
}

View.define("time-chart", TimeChart);
