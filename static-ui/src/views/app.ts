import { html, nothing, type TemplateResult } from "lit-html";
import { count } from "../format.ts";
import type { LiveStatus } from "../live.ts";
import type { Polled } from "../polled.ts";
import { setTheme, THEMES, type Theme, theme } from "../preferences.ts";
import { address, parseRoute, type Route, type ViewName } from "../route.ts";
import { isShortcut } from "../shortcuts.ts";
import { showHelp } from "./help.ts";
import { empty, heading } from "./parts.ts";
import { type Changed, LiveView } from "./view.ts";
import "./dead-letters-view.ts";
import "./job-view.ts";
import "./jobs-view.ts";
import "./new-job-view.ts";
import "./overview-view.ts";
import "./queues-view.ts";

const STATUS_TEXT: Record<LiveStatus, [label: string, explanation: string]> = {
  connecting: ["Connecting", "Opening the live connection"],
  live: ["Live", "Changes appear as they happen"],
  polling: ["Reconnecting", "The live connection is down; the list is read again every few seconds"],
  offline: ["Offline", "The API does not answer; what you see may be old"],
};
const TITLES: Record<ViewName, string> = {
  overview: "Overview",
  jobs: "Jobs",
  job: "Job",
  queues: "Queues",
  "dead-letters": "Dead letters",
  new: "New job",
  missing: "Not found",
};
const THEME_TEXT: Record<Theme, string> = { system: "Auto colours", light: "Light", dark: "Dark" };
const TOAST_MS = 8_000;

/** The frame: where one can go, the view that the address names, the live connection, and what came of an action. */
export class App extends LiveView {
  static override properties = [...LiveView.properties, "route", "toast"];
  declare private route: Route;
  declare private toast: { text: string; isError: boolean } | null;
  #toastTimer: number | undefined;

  constructor() {
    super();
    this.route = parseRoute(window.location.hash);
    this.toast = null;
  }

  // The queues are sampled on every view, so that their charts have a past.
  protected override get reads(): Polled<unknown>[] {
    return [this.services.queues, this.services.workers];
  }

  override connectedCallback(): void {
    super.connectedCallback();
    window.addEventListener("hashchange", this.#navigate);
    document.addEventListener("keydown", this.#onKey);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    window.removeEventListener("hashchange", this.#navigate);
    document.removeEventListener("keydown", this.#onKey);
  }

  say(text: string, isError: boolean): void {
    window.clearTimeout(this.#toastTimer);
    this.toast = { text, isError };
    // An error stays until it is read and dismissed.
    if (!isError) this.#toastTimer = window.setTimeout(() => (this.toast = null), TOAST_MS);
  }

  protected override render(): TemplateResult {
    const { view } = this.route;
    return html`<a class="skip" href="#main" @click=${this.#skip}>Skip to the content</a>
      <header class="top">
        <a class="brand" href=${address("")} aria-label="DTQ, overview">DTQ</a>
        <nav aria-label="Views">
          ${this.#link("", "overview")} ${this.#link("jobs", "jobs")} ${this.#link("queues", "queues")}
          ${this.#link("dead-letters", "dead-letters", this.services.queues.value?.dead ?? 0)} ${this.#link("new", "new")}
        </nav>
        <div class="tools">
          ${this.#renderStatus()}
          <button type="button" class="quiet theme" @click=${this.#nextTheme}>${THEME_TEXT[theme()]}</button>
          <button type="button" class="quiet" @click=${() => showHelp(this.services)} aria-label="Help and shortcuts">
            ?
          </button>
        </div>
      </header>
      <main id="main" class="view-${view}">${this.#renderView()}</main>
      <div class="toasts" role="status">
        ${this.toast === null
          ? nothing
          : html`<p class=${this.toast.isError ? "toast toast-error" : "toast"}>
              ${this.toast.text}
              <button type="button" class="quiet" @click=${() => (this.toast = null)}>Dismiss</button>
            </p>`}
      </div>`;
  }

  protected override updated(changed: Changed): void {
    if (!changed.has("route")) return;
    document.title = `${TITLES[this.route.view]} · DTQ`;
    const previous = changed.get("route") as Route | undefined;
    if (previous === undefined || (previous.view === this.route.view && previous.jobId === this.route.jobId)) return;
    window.scrollTo(0, 0);
    void this.#focusView();
  }

  #renderView(): TemplateResult {
    const { services } = this;
    const { view, jobId, query } = this.route;
    switch (view) {
      case "overview":
        return html`<overview-view .services=${services}></overview-view>`;
      case "jobs":
        return html`<jobs-view .services=${services} .query=${query}></jobs-view>`;
      case "job":
        return html`<job-view .services=${services} .jobId=${jobId}></job-view>`;
      case "queues":
        return html`<queues-view .services=${services}></queues-view>`;
      case "dead-letters":
        return html`<dead-letters-view .services=${services} .query=${query}></dead-letters-view>`;
      case "new":
        return html`<new-job-view .services=${services} .query=${query}></new-job-view>`;
      case "missing":
        return html`${heading("Nothing here")}
        ${empty(html`There is no such view. <a href=${address("")}>Go to the overview</a>`)}`;
    }
  }

  #link(to: Parameters<typeof address>[0], view: ViewName, badge = 0): TemplateResult {
    const isHere = this.route.view === view || (this.route.view === "job" && view === "jobs");
    return html`<a href=${address(to)} aria-current=${isHere ? "page" : nothing}
      >${TITLES[view]}${badge > 0 ? html` <span class="badge">${count(badge)}</span>` : nothing}</a
    >`;
  }

  #renderStatus(): TemplateResult {
    const { status } = this.services.live;
    const [label, explanation] = STATUS_TEXT[status];
    return html`<span class="status status-${status}" role="status" title=${explanation}>${label}</span>`;
  }

  async #focusView(): Promise<void> {
    const view = this.querySelector<LiveView>("main > :first-child");
    await view?.updateComplete;
    // A view that knows a better place has taken the focus there already.
    if (!view?.contains(document.activeElement)) this.querySelector("h1")?.focus({ preventScroll: true });
  }

  #navigate = (): void => {
    this.route = parseRoute(window.location.hash);
  };

  #skip(event: Event): void {
    // The address belongs to the views.
    event.preventDefault();
    this.querySelector("h1")?.focus();
  }

  #nextTheme(): void {
    setTheme(THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length] ?? "system");
    window.dispatchEvent(new Event("dtq-theme"));
    this.requestUpdate();
  }

  #onKey = (event: KeyboardEvent): void => {
    if (!isShortcut(event)) return;
    if (event.key === "n") window.location.hash = address("new");
    else if (event.key === "?") showHelp(this.services);
    else if (event.key === "/") void this.#search();
    else return;
    event.preventDefault();
  };

  async #search(): Promise<void> {
    if (this.route.view !== "jobs") {
      window.location.hash = address("jobs");
      this.#navigate();
      await this.updateComplete;
      await this.querySelector<LiveView>("jobs-view")?.updateComplete;
    }
    this.querySelector<HTMLElement>("#job-search")?.focus();
  }
}

LiveView.define("task-queue-app", App);
