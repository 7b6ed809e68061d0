/** Small pieces that several views share. */
import { html, nothing, type TemplateResult } from "lit";
import { isTerminal, type Job, type JobState } from "../model.ts";

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

export function notice(kind: "info" | "error", text: string, action?: TemplateResult): TemplateResult {
  return html`<div class="notice notice-${kind}" role=${kind === "error" ? "alert" : nothing}>
    <p>${text}</p>
    ${action ?? nothing}
  </div>`;
}
