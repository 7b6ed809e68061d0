import { html, nothing, type TemplateResult } from "lit-html";
import { repeat } from "lit-html/directives/repeat.js";
import { type JobFilter, searchesText } from "../filter.ts";
import { count } from "../format.ts";
import { isTerminal, type Job } from "../model.ts";
import { address, jobAddress } from "../route.ts";
import { isShortcut } from "../shortcuts.ts";
import { rowWindow, scrollToRow } from "../window.ts";
import { ago, type Content, empty, jobMessage, loading, progressBar, stateChip } from "./parts.ts";
import { LiveView } from "./view.ts";

/** Heights of a row as one line and, in a narrow list, as a card: the style sheet's. */
const ROW = 38;
const CARD = 74;
const NARROW = 760;
/** So near to the end, older jobs are read on. */
const NEAR_END = 10;
const MOST_WAITING = 999;
const COLUMNS = ["State", "Job", "Progress", "Priority", "Attempt", "Created"];

/** Where the list was left, for when one comes back to it from a job. */
let place = { filter: "", scrollTop: 0, jobId: "" };

/** The jobs, newest first: only the rows in sight exist. Whoever scrolls down or walks in it holds it still. */
class JobList extends LiveView {
  static override properties = [...LiveView.properties, "filter", "scrolled", "height"];
  declare filter: JobFilter;
  declare private scrolled: number;
  declare private height: number;
  #isNarrow = false;
  #isPaused = false;
  /** Not a private field: the constructors above ask for updates before those exist. */
  declare private isPressed: boolean;
  #cursor = "";
  #resized = new ResizeObserver(([entry]) => {
    this.height = entry?.contentRect.height ?? 0;
    this.#isNarrow = (entry?.contentRect.width ?? 0) < NARROW;
  });

  constructor() {
    super();
    this.isPressed = false;
    this.scrolled = 0;
    // Enough for the first sight; measured after it.
    this.height = window.innerHeight;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    document.addEventListener("keydown", this.#onKey);
    document.addEventListener("pointerup", this.#onRelease);
    document.addEventListener("pointercancel", this.#onRelease);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    document.removeEventListener("keydown", this.#onKey);
    document.removeEventListener("pointerup", this.#onRelease);
    document.removeEventListener("pointercancel", this.#onRelease);
    this.#resized.disconnect();
    place = { filter: JSON.stringify(this.services.feed.filter), scrollTop: this.scrolled, jobId: this.#cursor };
    if (this.scrolled === 0) this.#release();
  }

  /** Not while a row is pressed: one that moves away before the release would make no click of it. */
  override requestUpdate(): void {
    if (!this.isPressed) super.requestUpdate();
  }

  protected override firstUpdated(): void {
    const viewport = this.#viewport;
    this.#resized.observe(viewport);
    if (place.filter !== JSON.stringify(this.services.feed.filter)) return;
    viewport.scrollTop = place.scrollTop;
    const index = this.services.feed.jobs().findIndex((job) => job.job_id === place.jobId);
    if (index >= 0) void this.#goTo(index);
  }

  protected override render(): TemplateResult {
    const { feed } = this.services;
    const jobs = feed.jobs();
    const row = this.#rowHeight;
    const { first, end } = rowWindow(this.scrolled, this.height, row, jobs.length);
    return html`${this.#renderHold()}
      <div class="jobs" role="table" aria-label="Jobs" aria-rowcount=${feed.hasOlder ? -1 : jobs.length + 1}>
        <div role="rowgroup">
          <div role="row" class="job-row job-head" aria-rowindex="1">
            ${COLUMNS.map((name) => html`<span role="columnheader">${name}</span>`)}
          </div>
        </div>
        <div class="viewport" role="rowgroup" tabindex="-1" @scroll=${this.#onScroll} @focusin=${this.#onFocus} @focusout=${this.#onBlur}>
          <div class="rows" .style=${`height:${jobs.length * row}px`} @pointerdown=${this.#onPress}>
            <div class="in-sight" .style=${`transform:translateY(${first * row}px)`}>
              ${repeat(jobs.slice(first, end), (job) => job.job_id, (job, at) => renderRow(job, first + at + 2))}
            </div>
          </div>
        </div>
      </div>
      ${this.#renderEnd(jobs.length)}`;
  }

  #renderHold(): TemplateResult {
    const { feed } = this.services;
    const { waiting } = feed;
    const more = waiting > MOST_WAITING ? `${MOST_WAITING}+` : count(waiting);
    return html`<div class="hold">
      ${waiting > 0
        ? html`<button type="button" class="primary" @click=${this.#toTop}>${more} new ${waiting === 1 ? "job" : "jobs"}, show</button>`
        : nothing}
      <button type="button" aria-pressed=${this.#isPaused ? "true" : "false"} @click=${this.#togglePause}>Hold still</button>
    </div>`;
  }

  #renderEnd(shown: number): Content {
    const { feed } = this.services;
    if (!feed.loaded) return feed.error === null && shown === 0 ? loading("Loading jobs") : nothing;
    const older = html`<button type="button" ?disabled=${feed.loadingOlder} @click=${this.#loadOlder}>
      ${feed.loadingOlder ? "Loading…" : "Load older jobs"}
    </button>`;
    const isFiltered = Object.values(this.filter).some((value) => value !== "");
    if (shown === 0 && !isFiltered) return empty(html`No jobs yet. <a href=${address("new")}>Submit the first one</a>`);
    if (shown === 0) return empty(html`No job matches. ${feed.hasOlder ? older : nothing}`);
    return feed.hasOlder ? html`<p class="older">${older}</p>` : nothing;
  }

  get #viewport(): HTMLElement {
    const viewport = this.querySelector<HTMLElement>(".viewport");
    if (viewport === null) throw new Error("The list is not rendered yet.");
    return viewport;
  }

  get #rowHeight(): number {
    return this.#isNarrow ? CARD : ROW;
  }

  #onScroll(): void {
    const { feed } = this.services;
    this.scrolled = this.#viewport.scrollTop;
    this.#holdOrRelease();
    const { end } = rowWindow(this.scrolled, this.height, this.#rowHeight, Number.POSITIVE_INFINITY);
    // A search reads on by the button only: it could go through the whole history.
    const isNearEnd = end + NEAR_END >= feed.jobs().length;
    if (this.scrolled > 0 && isNearEnd && !searchesText(feed.filter) && feed.error === null) void this.#loadOlder();
  }

  #onPress(): void {
    this.isPressed = true;
  }

  #onRelease = (): void => {
    if (!this.isPressed) return;
    // The click comes after the release.
    window.setTimeout(() => {
      this.isPressed = false;
      this.requestUpdate();
    });
  };

  #onFocus(event: FocusEvent): void {
    this.#cursor = (event.target as HTMLElement).closest<HTMLElement>(".job-row")?.dataset["jobId"] ?? "";
    this.#holdOrRelease();
  }

  #onBlur(): void {
    // The focus is nowhere at this moment; look again when it has arrived.
    window.setTimeout(() => this.isConnected && this.#holdOrRelease());
  }

  #holdOrRelease(): void {
    if (this.#isPaused || this.scrolled > 0 || this.#viewport.contains(document.activeElement)) this.services.feed.hold();
    else this.#release();
    this.requestUpdate();
  }

  #release(): void {
    const { feed, live } = this.services;
    if (feed.heldAt !== null && feed.release()) live.catchUp();
  }

  #togglePause(): void {
    this.#isPaused = !this.#isPaused;
    this.#holdOrRelease();
  }

  #toTop(): void {
    this.#isPaused = false;
    this.#viewport.scrollTop = 0;
    this.scrolled = 0;
    this.#holdOrRelease();
  }

  async #loadOlder(): Promise<void> {
    const loading = this.services.feed.loadOlder();
    this.requestUpdate();
    await loading;
    this.requestUpdate();
  }

  #onKey = (event: KeyboardEvent): void => {
    const steps: Record<string, number> = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 };
    const step = steps[event.key];
    if (step === undefined || !isShortcut(event)) return;
    const jobs = this.services.feed.jobs();
    if (jobs.length === 0) return;
    event.preventDefault();
    const at = jobs.findIndex((job) => job.job_id === this.#cursor);
    void this.#goTo(at < 0 ? 0 : Math.min(jobs.length - 1, Math.max(0, at + step)));
  };

  /** Scroll a row into sight and give its link the focus. */
  async #goTo(index: number): Promise<void> {
    const job = this.services.feed.jobs()[index];
    if (job === undefined) return;
    this.#cursor = job.job_id;
    const viewport = this.#viewport;
    viewport.scrollTop = scrollToRow(index, viewport.scrollTop, this.height, this.#rowHeight);
    this.scrolled = viewport.scrollTop;
    await this.updateComplete;
    this.querySelector<HTMLElement>(`[data-job-id="${CSS.escape(job.job_id)}"] a`)?.focus({ preventScroll: true });
  }
}

function renderRow(job: Job, index: number): TemplateResult {
  const message = jobMessage(job);
  return html`<div role="row" class="job-row" aria-rowindex=${index} data-job-id=${job.job_id} @click=${open}>
    <span role="cell" class="c-state">${stateChip(job.state)}</span>
    <span role="cell" class="c-job">
      <a href=${jobAddress(job.job_id)}>${job.job_type}</a>
      <code class="job-id" title=${job.job_id}>${job.job_id.slice(-12)}</code>
      ${job.tags.map((tag) => html`<a class="tag" href=${address("jobs", { tag })}>${tag}</a>`)}
    </span>
    <span role="cell" class="c-progress">${progressBar(job)}<span class="clip" title=${message}>${message}</span></span>
    <span role="cell" class="c-priority priority-${job.priority}">${job.priority}</span>
    <span role="cell" class="c-attempt">${job.attempt > 1 || !isTerminal(job.state) ? `${job.attempt}/${job.max_attempts}` : job.attempt}</span>
    <span role="cell" class="c-time">${ago(job.created_at)}</span>
  </div>`;
}

/** A click anywhere in a row follows its link, unless it selects text. */
function open(event: MouseEvent): void {
  const row = event.currentTarget as HTMLElement;
  if ((event.target as HTMLElement).closest("a") !== null || getSelection()?.type === "Range") return;
  row.querySelector("a")?.click();
}

LiveView.define("job-list", JobList);
