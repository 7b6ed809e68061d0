import { html, nothing, type TemplateResult } from "lit-html";
import { ApiError } from "../api.ts";
import { duration, exactTime } from "../format.ts";
import { attemptsSeen, lifeOf, type Span } from "../life.ts";
import { isTerminal, type Job, type JobDetails, type JobError, type JobResult, type JobState, type TimelineEntry } from "../model.ts";
import { address } from "../route.ts";
import { ago, attemptText, type Content, empty, heading, jobMessage, loading, notice, panel, progressBar, stateChip } from "./parts.ts";
import { type Changed, LiveView } from "./view.ts";
import "./copy-button.ts";

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

/** One job: where it is, how it came there, what came of it, and what can be done with it. */
class JobView extends LiveView {
  static override properties = [...LiveView.properties, "jobId", "details", "failure"];
  declare jobId: string;
  /** Payload and history, with the result once the job has ended. */
  declare private details: JobDetails | JobResult | null;
  declare private failure: ApiError | null;
  /** The version of the job whose details were asked for. */
  #detailsOf = "";

  constructor() {
    super();
    this.details = null;
    this.failure = null;
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.services.store.watch("");
  }

  protected override willUpdate(changed: Changed): void {
    const { store } = this.services;
    if (changed.has("jobId")) {
      this.#detailsOf = "";
      this.details = null;
      store.watch(this.jobId);
      void this.#loadJob();
    }
    const job = store.get(this.jobId);
    if (job !== undefined) this.#follow(job);
  }

  protected override render(): TemplateResult {
    const job = this.services.store.get(this.jobId);
    const back = html`<a href=${address("jobs")}>All jobs</a>`;
    if (job !== undefined) return this.#renderJob(job, back);
    if (this.failure === null) return html`${heading("Job", back)} ${loading("Loading the job")}`;
    const again = html`<button type="button" @click=${this.#loadJob}>Try again</button>`;
    if (this.failure.status !== 404) return html`${heading("Job", back)} ${notice("error", this.failure.message, again)}`;
    return html`${heading("No such job", back)}
    ${notice("info", `There is no job ${this.jobId}. It may have expired, or the link is wrong.`)}`;
  }

  #renderJob(job: Job, back: TemplateResult): TemplateResult {
    const { details } = this;
    const { versions } = this.services.store;
    const spans = lifeOf(job, withSeen(details, details?.attempts, attemptsSeen(versions), (each) => each.started_at));
    const reports = withSeen(details, details?.timeline, reportsSeen(versions), (each) => `${each.progress} ${each.message}`);
    return html`${heading(job.job_type, back)}
      <section class="panel job-now" aria-label="State">
        ${stateChip(job.state)} ${progressBar(job)}
        <p class="message">${jobMessage(job)}</p>
        ${this.#renderActions(job)}
      </section>
      <p class="spoken" aria-live="polite">${job.state}, ${job.progress} per cent. ${jobMessage(job)}</p>
      <div class="columns columns-job">
        <div>
          ${this.#renderOutcome(job)} ${panel("Timeline", renderSpans(spans))}
          ${panel("Progress", renderReports(job, reports))}
        </div>
        <div>
          ${panel("Details", renderFacts(job))}
          ${panel(
            "Payload",
            details === null ? html`<p class="result empty">${this.failure === null ? "" : "Not read."}</p>` : json("Payload", details.payload),
            details === null ? nothing : copies("payload", job, details.payload),
          )}
        </div>
      </div>`;
  }

  #renderActions(job: Job): TemplateResult {
    const { api, store } = this.services;
    const button = (name: string, kind: string, action: () => Promise<string>): TemplateResult =>
      html`<button type="button" class=${kind} ?disabled=${this.busy !== ""} @click=${() => this.act(name, action)}>
        ${this.busy === name ? "…" : name}
      </button>`;
    const cancel = async (): Promise<string> => {
      const cancelled = await api.cancel(job.job_id);
      store.upsert([cancelled]);
      return isTerminal(cancelled.state) ? "The job is cancelled." : "The job is asked to give way; it is cancelled at its next step.";
    };
    const retry = async (): Promise<string> => {
      store.upsert([await api.retry(job.job_id)]);
      return "The job runs again.";
    };
    return html`<p class="actions">
      ${isTerminal(job.state) ? nothing : button("Cancel job", "danger", cancel)}
      ${job.state === "failed" || job.state === "cancelled" ? button("Retry", "primary", retry) : nothing}
      <a class="button" href=${address("new", { from: job.job_id })}>Run again with edits</a>
    </p>`;
  }

  /** What came of the job: its result, why it failed, or the room for that. */
  #renderOutcome(job: Job): TemplateResult {
    const { details } = this;
    if (job.state !== "completed") {
      return panel("Result", job.error === null ? html`<p class="result empty">${NO_RESULT[job.state]}</p>` : renderError(job, job.error));
    }
    if (details !== null && "result" in details) {
      return panel("Result", json("Result", details.result), copies("result", job, details.result));
    }
    const again = html`<button type="button" @click=${() => this.#loadDetails(job)}>Try again</button>`;
    return panel("Result", this.failure === null ? html`<p class="result empty"></p>` : notice("error", this.failure.message, again));
  }

  /** Read the details whenever an attempt has begun or ended, and the result at the end. */
  #follow(job: Job): void {
    if (this.#detailsOf !== stepOf(job)) void this.#loadDetails(job);
  }

  async #loadJob(): Promise<void> {
    await this.#loading(async () => {
      this.services.store.upsert([await this.services.api.job(this.jobId)]);
    });
  }

  async #loadDetails(job: Job): Promise<void> {
    const step = stepOf(job);
    this.#detailsOf = step;
    await this.#loading(async () => {
      const { api } = this.services;
      const details = await (isTerminal(job.state) ? api.result(job.job_id) : api.details(job.job_id));
      // The job, or the person, may have gone on meanwhile.
      if (this.#detailsOf === step) this.details = details;
    });
  }

  async #loading(load: () => Promise<void>): Promise<void> {
    const { jobId } = this;
    this.failure = null;
    try {
      await load();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (this.jobId === jobId) this.failure = error;
    }
  }
}

/** Names what a job does now; the same until its next attempt begins or ends. */
function stepOf(job: Job): string {
  return `${job.job_id} ${job.state} ${isTerminal(job.state) ? job.updated_at : job.attempt}`;
}

/** What was read and, while the job goes on, what this page has seen since. */
function withSeen<T>(details: JobDetails | null, read: readonly T[] = [], seen: readonly T[], key: (each: T) => string): readonly T[] {
  if (details !== null && isTerminal(details.state)) return read;
  const known = new Set(read.map(key));
  return [...read, ...seen.filter((each) => !known.has(key(each)))];
}

function renderError(job: Job, error: JobError): TemplateResult {
  return html`<div class="result error-box">
    <h3>${job.state === "failed" ? "Failed" : "The last attempt failed"}: <code>${error.code}</code></h3>
    <p>${error.message}</p>
    <p>${error.retryable ? "Trying again may help." : "Trying again will not help unless its cause is mended."}</p>
  </div>`;
}

function json(name: string, value: unknown): TemplateResult {
  return html`<pre class="result" tabindex="0" role="group" aria-label=${name}>${JSON.stringify(value, null, 2)}</pre>`;
}

/** Take it away: to the clipboard or as a file. */
function copies(name: string, job: Job, value: unknown): TemplateResult {
  const text = JSON.stringify(value, null, 2);
  const download = (): void => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = `${job.job_type}-${job.job_id}-${name}.json`;
    link.click();
    URL.revokeObjectURL(link.href);
  };
  return html`<span class="actions">
    <copy-button .text=${text} .label=${`Copy the ${name}`}></copy-button>
    <button type="button" class="quiet" aria-label="Download the ${name}" @click=${download}>Download</button>
  </span>`;
}

/** A bar in which each span is as wide as it was long, and the same as a list. */
function renderSpans(spans: readonly Span[]): TemplateResult {
  const now = new Date().toISOString();
  const took = (span: Span): string => duration(span.from, span.to ?? now);
  const width = (span: Span): number => Date.parse(span.to ?? now) - Date.parse(span.from);
  return html`<div class="life" aria-hidden="true">
      ${spans.map((span) => html`<i class="span-${span.kind}" title="${span.label}: ${took(span)}" .style=${`flex-grow:${Math.max(1, width(span))}`}></i>`)}
    </div>
    <ol class="spans">
      ${spans.map(
        (span) => html`<li class="span-${span.kind}">
          <span class="label">${span.label}</span>
          <span class="outcome">${span.label.startsWith("Attempt") ? span.kind : ""}</span>
          <span class="took">${span.to === null ? html`began ${ago(span.from)}` : took(span)}</span>
          <time datetime=${span.from} title=${exactTime(span.from)}>${exactTime(span.from)}</time>
          ${span.error === null ? nothing : html`<p class="why"><code>${span.error.code}</code> ${span.error.message}</p>`}
        </li>`,
      )}
    </ol>`;
}

function renderReports(job: Job, reports: readonly TimelineEntry[]): Content {
  if (reports.length === 0) return empty("Nothing reported yet.");
  return html`<ol class="reports">
    ${reports.map(
      (entry) => html`<li>
        <span class="percent">${entry.progress} %</span>
        <span>${entry.message}</span>
        <time datetime=${entry.at} title=${exactTime(entry.at)}>+${duration(job.created_at, entry.at)}</time>
      </li>`,
    )}
  </ol>`;
}

/** What the job reported while this page looked. */
function reportsSeen(versions: readonly Job[]): TimelineEntry[] {
  const reports: TimelineEntry[] = [];
  for (const { state, progress, message, updated_at } of versions) {
    const last = reports.at(-1);
    const isNew = last?.progress !== progress || last.message !== message;
    if (state === "running" && (progress > 0 || message !== "") && isNew) reports.push({ at: updated_at, progress, message });
  }
  return reports;
}

function renderFacts(job: Job): TemplateResult {
  const time = (at: string | null): Content => (at === null ? "not yet" : ago(at));
  const isDue = job.state === "scheduled" || job.state === "retrying";
  return html`<dl class="facts">
    <dt>Job id</dt>
    <dd><code>${job.job_id}</code> <copy-button .text=${job.job_id} .label=${"Copy the job id"}></copy-button></dd>
    <dt>Trace id</dt>
    <dd><code>${job.trace_id}</code> <copy-button .text=${job.trace_id} .label=${"Copy the trace id"}></copy-button></dd>
    <dt>Priority</dt>
    <dd>${job.priority}</dd>
    <dt>Attempt</dt>
    <dd>${attemptText(job)}</dd>
    <dt>Tags</dt>
    <dd>${job.tags.length === 0 ? "none" : job.tags.map((tag) => html`<a class="tag" href=${address("jobs", { tag })}>${tag}</a> `)}</dd>
    <dt>Created</dt>
    <dd>${ago(job.created_at)}</dd>
    ${isDue ? html`<dt>Due</dt><dd>${ago(job.run_at)}</dd>` : nothing}
    <dt>Started</dt>
    <dd>${time(job.started_at)}</dd>
    <dt>Finished</dt>
    <dd>${time(job.finished_at)}</dd>
  </dl>`;
}

LiveView.define("job-view", JobView);
