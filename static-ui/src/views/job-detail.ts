import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { ApiError } from "../api.ts";
import { duration, exactTime } from "../format.ts";
import { isTerminal, type Job, type JobError, type JobResult, type JobState } from "../model.ts";
import { JOBS_ADDRESS } from "../route.ts";
import { attemptText, jobMessage, notice, progressBar, stateChip } from "./parts.ts";
import { LiveView } from "./view.ts";
import "./copy-button.ts";
import "./relative-time.ts";

/** What stands in the result's place before there is one, or where there will be none. */
const NO_RESULT: Record<JobState, string> = {
  scheduled: "The job waits for its time.",
  queued: "The job waits in its queue.",
  running: "The job is running.",
  retrying: "The job waits for its next attempt.",
  completed: "",
  failed: "The job failed.",
  cancelled: "The job was cancelled.",
};

/** One job: where it is, what it reported, what came of it. */
class JobDetail extends LiveView {
  static override properties = {
    ...LiveView.properties,
    jobId: {},
    result: { state: true },
    failure: { state: true },
  };
  declare jobId: string;
  declare private result: JobResult | null;
  declare private failure: ApiError | null;
  /** The version of the job whose result was asked for. */
  #resultOf = "";

  constructor() {
    super();
    this.result = null;
    this.failure = null;
  }

  get #job(): Job | undefined {
    return this.services.store.get(this.jobId);
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has("jobId")) {
      this.#forgetResult();
      if (this.#job === undefined) void this.#loadJob();
    }
    if (this.#job !== undefined) this.#follow(this.#job);
  }

  protected override render(): TemplateResult {
    if (this.#job !== undefined) return this.#renderJob(this.#job);
    if (this.failure === null) return html`<p class="placeholder">Loading job…</p>`;
    const back = html`<a href=${JOBS_ADDRESS}>All jobs</a>`;
    const retry = html`<button type="button" @click=${this.#loadJob}>Try again</button> ${back}`;
    if (this.failure.status !== 404) return notice("error", this.failure.message, retry);
    return html`<h2>No such job</h2>
      ${notice("info", `There is no job ${this.jobId}. It may have expired, or the link is wrong.`, back)}`;
  }

  #renderJob(job: Job): TemplateResult {
    return html`<header class="detail-head">
        <h2>${job.job_type}</h2>
        ${stateChip(job.state)}
        <a class="close" href=${JOBS_ADDRESS} aria-label="Close this job">Close</a>
      </header>
      ${progressBar(job)}
      <p class="message">${job.message}</p>
      <p class="spoken" aria-live="polite">${job.state}, ${job.progress} per cent. ${jobMessage(job)}</p>
      ${this.#renderOutcome(job)} ${this.#renderTimeline(job)} ${renderFacts(job)}`;
  }

  /** What came of the job: its result, why it failed, or the room for that. */
  #renderOutcome(job: Job): TemplateResult {
    if (job.state === "completed") {
      const text = this.result === null ? null : JSON.stringify(this.result.result, null, 2);
      return html`<section class="outcome">
        <h3>Result ${text === null ? nothing : html`<copy-button .text=${text} label="Copy the result"></copy-button>`}</h3>
        ${text === null ? this.#renderNoResult(job) : html`<pre class="result" tabindex="0" aria-label="Result">${text}</pre>`}
      </section>`;
    }
    return html`<section class="outcome">
      <h3>Result</h3>
      ${job.error === null ? html`<p class="placeholder">${NO_RESULT[job.state]}</p>` : renderError(job, job.error)}
    </section>`;
  }

  #renderNoResult(job: Job): TemplateResult {
    if (this.failure === null) return html`<p class="placeholder">Loading result…</p>`;
    const retry = html`<button type="button" @click=${() => this.#loadResult(job)}>Try again</button>`;
    return notice("error", this.failure.message, retry);
  }

  #renderTimeline(job: Job): TemplateResult {
    // What this page saw while the job ran, until the result brings the whole timeline.
    const entries = this.result?.timeline ?? this.services.store.reports(job.job_id);
    return html`<section>
      <h3>Timeline</h3>
      ${entries.length === 0 ? html`<p class="timeline-empty">Nothing reported yet.</p>` : nothing}
      <ol class="timeline">
        ${entries.map(
          (entry) => html`<li>
            <span class="percent">${entry.progress} %</span>
            <span>${entry.message}</span>
            <time datetime=${entry.at} title=${exactTime(entry.at)}>+${duration(job.created_at, entry.at)}</time>
          </li>`,
        )}
      </ol>
    </section>`;
  }

  /** Fetch the result once the job has ended, and forget it when the job is run again. */
  #follow(job: Job): void {
    if (!isTerminal(job.state)) this.#forgetResult();
    else if (this.#resultOf !== job.updated_at) void this.#loadResult(job);
  }

  #forgetResult(): void {
    this.#resultOf = "";
    this.result = null;
    this.failure = null;
  }

  async #loadJob(): Promise<void> {
    const jobId = this.jobId;
    await this.#loading(async () => {
      this.services.store.upsert([await this.services.api.job(jobId)]);
    });
  }

  async #loadResult(job: Job): Promise<void> {
    this.#resultOf = job.updated_at;
    await this.#loading(async () => {
      const result = await this.services.api.result(job.job_id);
      // The person may have gone on to another job meanwhile.
      if (this.#resultOf === job.updated_at && this.jobId === job.job_id) this.result = result;
    });
  }

  async #loading(load: () => Promise<void>): Promise<void> {
    const jobId = this.jobId;
    this.failure = null;
    try {
      await load();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (this.jobId === jobId) this.failure = error;
    }
  }
}

function renderError(job: Job, error: JobError): TemplateResult {
  return html`<div class="error-box">
    <h4>${job.state === "failed" ? "Failed" : "Last attempt failed"}: <code>${error.code}</code></h4>
    <p>${error.message}</p>
    <p>${error.retryable ? "Trying again may help." : "Trying again will not help."}</p>
  </div>`;
}

function renderFacts(job: Job): TemplateResult {
  const took = job.started_at !== null && job.finished_at !== null ? duration(job.started_at, job.finished_at) : "";
  return html`<section>
    <h3>Details</h3>
    <dl class="facts">
      <dt>Job id</dt>
      <dd><code>${job.job_id}</code> <copy-button .text=${job.job_id} label="Copy the job id"></copy-button></dd>
      <dt>Priority</dt>
      <dd>${job.priority}</dd>
      <dt>Attempt</dt>
      <dd>${attemptText(job)}</dd>
      <dt>Created</dt>
      <dd>${time(job.created_at)}</dd>
      ${job.state === "scheduled" || job.state === "retrying" ? html`<dt>Due</dt><dd>${time(job.run_at)}</dd>` : nothing}
      <dt>Started</dt>
      <dd>${time(job.started_at)}</dd>
      <dt>Finished</dt>
      <dd>${time(job.finished_at)}${took === "" ? nothing : html`, took ${took}`}</dd>
      ${job.tags.length === 0 ? nothing : html`<dt>Tags</dt><dd>${job.tags.join(", ")}</dd>`}
      <dt>Trace id</dt>
      <dd><code>${job.trace_id}</code></dd>
    </dl>
  </section>`;
}

function time(at: string | null): TemplateResult | string {
  return at === null ? "not yet" : html`<relative-time datetime=${at}></relative-time>`;
}

customElements.define("job-detail", JobDetail);
