/** Small pieces that several views share. */
import { html, nothing, type TemplateResult } from "lit-html";
import type { ApiError } from "../api.ts";
import { isTerminal, type Job, type JobState } from "../model.ts";
import type { Polled } from "../polled.ts";
import { jobAddress } from "../route.ts";
import "./relative-time.ts";

export type Content = TemplateResult | typeof nothing | string;

/** Where a view takes the focus to when it is gone to. */
export function heading(text: string, beside: Content = nothing): TemplateResult {
  return html`<div class="heading"><h1 tabindex="-1">${text}</h1>${beside}</div>`;
}

/** `room` is what its body takes once it is read, so that nothing below moves then. */
export function panel(title: string, body: Content, beside: Content = nothing, room: "" | "chart" | "rows" = ""): TemplateResult {
  return html`<section class="panel ${room}" aria-label=${title}>
    <div class="panel-head"><h2>${title}</h2>${beside}</div>
    ${body}
  </section>`;
}

/** A table that scrolls in its own frame where it is too wide. A column whose name ends with "#" holds numbers. */
export function table(caption: string, columns: readonly string[], rows: readonly (readonly Content[])[]): TemplateResult {
  const kind = (index: number): string | typeof nothing => (columns[index]?.endsWith("#") ? "number" : nothing);
  return html`<div class="table" role="group" aria-label=${caption} tabindex="0">
    <table>
      <thead>
        <tr>${columns.map((name, at) => html`<th scope="col" class=${kind(at)}>${name.replace("#", "")}</th>`)}</tr>
      </thead>
      <tbody>
        ${rows.map((row) => html`<tr>${row.map((cell, at) => html`<td class=${kind(at)}>${cell}</td>`)}</tr>`)}
      </tbody>
    </table>
  </div>`;
}

/** What was read, or in its place that it is on its way, cannot be read, or is not offered by this server. */
export function whenRead<T>(polled: Polled<T>, what: string, show: (value: T) => Content): Content {
  if (!polled.isOffered) return empty(`This server does not offer ${what}.`);
  const retry = (error: ApiError): Content =>
    notice("error", error.message, html`<button type="button" @click=${() => polled.refresh()}>Try again</button>`);
  if (polled.value === null) return polled.error === null ? loading(`Loading ${what}`) : retry(polled.error);
  return html`${polled.error === null ? nothing : retry(polled.error)} ${show(polled.value)}`;
}

export function empty(text: Content): TemplateResult {
  return html`<p class="empty">${text}</p>`;
}

/** Shown only when the answer takes a while, so that a quick one does not flicker. */
export function loading(text: string): TemplateResult {
  return html`<p class="empty loading">${text}…</p>`;
}

export function notice(kind: "info" | "error", text: string, action: Content = nothing): TemplateResult {
  return html`<div class="notice notice-${kind}" role=${kind === "error" ? "alert" : nothing}><p>${text}</p>${action}</div>`;
}

export function stateChip(state: JobState): TemplateResult {
  return html`<span class="chip chip-${state}">${state}</span>`;
}

/** The bar and its number. A waiting job has an empty bar, so that nothing moves when it starts. */
export function progressBar(job: Job): TemplateResult {
  return html`<span class="progress progress-${job.state}">
    <progress max="100" .value=${job.progress} aria-label="Progress of ${job.job_type} job"></progress>
    <span class="percent">${job.progress} %</span>
  </span>`;
}

/** What to say beside the bar: why it failed, or what it is doing. */
export function jobMessage(job: Job): string {
  if (job.error !== null && job.state !== "completed") return job.error.message;
  return job.message;
}

export function attemptText(job: Job): string {
  if (job.attempt === 0) return isTerminal(job.state) ? "none" : `none yet, ${job.max_attempts} at most`;
  return `${job.attempt} of ${job.max_attempts}`;
}

export function ago(time: string): TemplateResult {
  return html`<relative-time datetime=${time}></relative-time>`;
}

/** A job's id, as short as can be told apart, as a link. */
export function jobLink(jobId: string): TemplateResult {
  return html`<a class="job-id" href=${jobAddress(jobId)} title=${jobId}>${jobId.slice(-12)}</a>`;
}

/** A choice among a few names; an empty value stands for all of them. */
export function select(
  label: string,
  value: string,
  all: string,
  names: readonly string[],
  onChange: (value: string) => void,
): TemplateResult {
  const options = value === "" || names.includes(value) ? names : [...names, value];
  return html`<select aria-label=${label} @change=${(event: Event) => onChange((event.target as HTMLSelectElement).value)}>
    <option value="" .selected=${value === ""}>${all}</option>
    ${options.map((name) => html`<option .selected=${name === value}>${name}</option>`)}
  </select>`;
}
