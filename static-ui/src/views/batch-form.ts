import { html, nothing, type TemplateResult } from "lit-html";
import { ApiError } from "../api.ts";
import { type Batch, MOST_JOBS, readBatch } from "../batch.ts";
import { count } from "../format.ts";
import type { BatchAnswer, BatchRow } from "../model.ts";
import { jobLink, notice, panel, table } from "./parts.ts";
import { LiveView } from "./view.ts";

const EXAMPLE = `{"job_type": "test_task", "payload": {"sleep_seconds": 1}}
{"job_type": "test_task", "payload": {}, "priority": "high", "tags": ["batch"]}`;
/** Rows of the answer that are shown; refused ones come first. */
const MOST_ROWS = 200;

/** Paste up to 1,000 jobs, see how many there are, submit, and see what became of each. */
class BatchForm extends LiveView {
  static override properties = [...LiveView.properties, "text", "answer", "failure"];
  declare private text: string;
  declare private answer: BatchAnswer | null;
  declare private failure: string | null;

  constructor() {
    super();
    this.text = "";
    this.answer = null;
    this.failure = null;
  }

  protected override render(): TemplateResult {
    const batch = readBatch(this.text);
    const isEmpty = this.text.trim() === "";
    const said = isEmpty ? "" : (batch.problem ?? `${count(batch.jobs.length)} ${batch.jobs.length === 1 ? "job" : "jobs"}`);
    return html`<form class="panel job-form" novalidate @submit=${(event: Event) => this.#submit(event, batch)}>
        <div class="field">
          <label for="batch">Jobs</label>
          <textarea id="batch" rows="12" spellcheck="false" placeholder=${EXAMPLE} .value=${this.text}
            aria-describedby="batch-hint batch-said" aria-invalid=${!isEmpty && batch.problem !== null ? "true" : "false"}
            @input=${(event: Event) => (this.text = (event.target as HTMLTextAreaElement).value)}></textarea>
          <p class="hint" id="batch-hint">A JSON array of jobs, or one job a line; at most ${count(MOST_JOBS)}. One bad job does not spoil the others.</p>
          <p id="batch-said" aria-live="polite" class=${batch.problem === null ? "" : "field-error"}>${said}</p>
        </div>
        ${this.failure === null ? nothing : notice("error", this.failure)}
        <p class="actions">
          <button type="submit" class="primary" ?disabled=${this.busy !== "" || batch.problem !== null}>
            ${this.busy === "" ? "Submit the batch" : "Submitting…"}
          </button>
          <button type="button" @click=${() => (this.text = EXAMPLE)}>Fill in an example</button>
        </p>
      </form>
      ${this.answer === null ? nothing : renderAnswer(this.answer)}`;
  }

  async #submit(event: Event, batch: Batch): Promise<void> {
    event.preventDefault();
    if (batch.problem !== null || this.busy !== "") return;
    this.busy = "submit";
    this.failure = null;
    this.answer = null;
    try {
      this.answer = await this.services.api.submitBatch(batch.jobs);
      this.services.store.upsert(this.answer.results.flatMap((row) => row.job ?? []));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.failure = error.message;
    } finally {
      this.busy = "";
    }
  }
}

function renderAnswer({ accepted, rejected, results }: BatchAnswer): TemplateResult {
  const rows = [...results].sort((a, b) => b.status - a.status).slice(0, MOST_ROWS);
  const outcome = ({ problem }: BatchRow): string => problem?.detail ?? problem?.title ?? "accepted";
  return panel(
    `${count(accepted)} accepted, ${count(rejected)} refused`,
    table(
      "What became of each job",
      ["Place#", "Job", "Outcome"],
      rows.map((row) => [
        count(row.index + 1),
        row.job === undefined ? "–" : html`${row.job.job_type} ${jobLink(row.job.job_id)}`,
        row.job === undefined ? html`<span class="level-bad">${outcome(row)}</span>` : "accepted",
      ]),
    ),
  );
}

LiveView.define("batch-form", BatchForm);
