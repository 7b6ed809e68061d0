import { html, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import type { Job } from "../model.ts";
import { jobAddress } from "../route.ts";
import { jobMessage, notice, progressBar, stateChip } from "./parts.ts";
import { LiveView } from "./view.ts";
import "./relative-time.ts";

/** The newest jobs, live. */
class JobList extends LiveView {
  static override properties = {
    ...LiveView.properties,
    selected: {},
    loadingOlder: { state: true },
  };
  declare selected: string | null;
  declare private loadingOlder: boolean;

  constructor() {
    super();
    this.selected = null;
    this.loadingOlder = false;
  }

  protected override render(): TemplateResult {
    const { feed, live } = this.services;
    const jobs = feed.jobs();
    const retry = html`<button type="button" @click=${() => live.refresh()}>Try again</button>`;
    // Under the table, so that trouble does not push away what is being read.
    return html`
      ${jobs.length > 0 ? this.#renderTable(jobs) : this.#renderEmpty()}
      ${feed.error === null ? nothing : notice("error", feed.error.message, retry)}
      ${feed.hasOlder
        ? html`<p class="older">
            <button type="button" ?disabled=${this.loadingOlder} @click=${this.#loadOlder}>
              ${this.loadingOlder ? "Loading…" : "Show older jobs"}
            </button>
          </p>`
        : nothing}
    `;
  }

  #renderEmpty(): TemplateResult | typeof nothing {
    const { feed } = this.services;
    if (feed.error !== null) return nothing;
    const text = feed.loaded ? "No jobs yet. Submit one, and watch it here." : "Loading jobs…";
    return html`<p class="placeholder">${text}</p>`;
  }

  #renderTable(jobs: readonly Job[]): TemplateResult {
    return html`<table class="jobs">
      <thead>
        <tr>
          <th scope="col" class="col-state">State</th>
          <th scope="col" class="col-type">Job</th>
          <th scope="col" class="col-priority">Priority</th>
          <th scope="col" class="col-progress">Progress</th>
          <th scope="col" class="col-time">Created</th>
        </tr>
      </thead>
      <tbody>
        ${repeat(jobs, (job) => job.job_id, (job) => this.#renderRow(job))}
      </tbody>
    </table>`;
  }

  #renderRow(job: Job): TemplateResult {
    const isSelected = job.job_id === this.selected;
    return html`<tr class=${isSelected ? "selected" : ""} data-job-id=${job.job_id} @click=${open}>
      <td class="col-state">${stateChip(job.state)}</td>
      <td class="col-type">
        <a href=${jobAddress(job.job_id)} aria-current=${isSelected ? "true" : nothing}>${job.job_type}</a>
        <span class="job-id" title=${job.job_id}>${job.job_id.slice(-12)}</span>
      </td>
      <td class="col-priority"><span class="priority priority-${job.priority}">${job.priority}</span></td>
      <td class="col-progress">
        ${progressBar(job)}
        <span class="message" title=${jobMessage(job)}>${jobMessage(job)}</span>
      </td>
      <td class="col-time"><relative-time datetime=${job.created_at}></relative-time></td>
    </tr>`;
  }

  async #loadOlder(): Promise<void> {
    this.loadingOlder = true;
    await this.services.feed.loadOlder();
    this.loadingOlder = false;
  }
}

/** A click anywhere in a row follows its link, unless it selects text. */
function open(event: MouseEvent): void {
  const row = event.currentTarget as HTMLElement;
  if ((event.target as HTMLElement).closest("a") !== null || getSelection()?.type === "Range") return;
  row.querySelector("a")?.click();
}

customElements.define("job-list", JobList);
