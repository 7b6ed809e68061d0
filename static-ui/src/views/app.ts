import { html, type TemplateResult } from "lit";
import { JOBS_ADDRESS, parseRoute, type Route } from "../route.ts";
import type { LiveStatus } from "../live.ts";
import { LiveView } from "./view.ts";
import "./job-detail.ts";
import "./job-list.ts";
import "./submit-form.ts";

const STATUS_TEXT: Record<LiveStatus, [label: string, explanation: string]> = {
  connecting: ["Connecting", "Opening the live connection"],
  live: ["Live", "Changes appear as they happen"],
  polling: ["Reconnecting", "The live connection is down; the list is read again every few seconds"],
  offline: ["Offline", "The API does not answer; what you see may be old"],
};
/** From this width on the form stands open beside the list. */
const WIDE = "(min-width: 800px)";

/** The frame: header, the view that the address names, and the state of the live connection. */
export class App extends LiveView {
  static override properties = { ...LiveView.properties, route: { state: true } };
  declare private route: Route;

  constructor() {
    super();
    this.route = parseRoute(window.location.hash);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    window.addEventListener("hashchange", this.#navigate);
    this.#navigate();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    window.removeEventListener("hashchange", this.#navigate);
  }

  protected override render(): TemplateResult {
    const { jobId } = this.route;
    return html`<header class="top">
        <a class="brand" href=${JOBS_ADDRESS}>Task queue</a>
        ${this.#renderStatus()}
      </header>
      <main class=${jobId === null ? "panes" : "panes with-detail"}>
        <section class="pane pane-submit" aria-label="New job">
          <details ?open=${window.matchMedia(WIDE).matches}>
            <summary><h2>New job</h2></summary>
            <submit-form .services=${this.services}></submit-form>
          </details>
        </section>
        <section class="pane pane-list" aria-label="Jobs">
          <h2>Jobs</h2>
          <job-list .services=${this.services} .selected=${jobId}></job-list>
        </section>
        <section class="pane pane-detail" aria-label="Selected job">
          ${jobId === null
            ? html`<p class="placeholder">Select a job to see its progress and result.</p>`
            : html`<job-detail .services=${this.services} .jobId=${jobId}></job-detail>`}
        </section>
      </main>`;
  }

  #renderStatus(): TemplateResult {
    const { status } = this.services.live;
    const [label, explanation] = STATUS_TEXT[status];
    return html`<span class="status status-${status}" role="status" title=${explanation}>${label}</span>`;
  }

  #navigate = (): void => {
    this.route = parseRoute(window.location.hash);
    this.services.feed.selected = this.route.jobId;
    // On a phone the job takes the place of the list, which may have been scrolled far down.
    if (this.route.jobId !== null && !window.matchMedia(WIDE).matches) window.scrollTo(0, 0);
  };
}

customElements.define("task-queue-app", App);
