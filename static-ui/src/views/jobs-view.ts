import { html, nothing, type TemplateResult } from "lit-html";
import { type JobFilter, isJobId, NO_FILTER, readFilter, searchesText } from "../filter.ts";
import { count } from "../format.ts";
import { PRIORITIES, STATES } from "../model.ts";
import type { Polled } from "../polled.ts";
import { address, jobAddress, replaceAddress } from "../route.ts";
import { type Content, heading, notice, select } from "./parts.ts";
import { type Changed, LiveView } from "./view.ts";
import "./job-list.ts";

/** The list of jobs and what it is filtered by; the filter is the address's. */
class JobsView extends LiveView {
  static override properties = [...LiveView.properties, "query"];
  declare query: URLSearchParams;

  protected override get reads(): Polled<unknown>[] {
    return [this.services.jobTypes];
  }

  protected override willUpdate(changed: Changed): void {
    if (!changed.has("query")) return;
    const { feed, live } = this.services;
    if (feed.choose(readFilter(this.query))) void live.refresh();
  }

  protected override render(): TemplateResult {
    const { feed } = this.services;
    const { filter } = feed;
    const types = this.services.jobTypes.value?.map((type) => type.name) ?? [];
    const set = (change: Partial<JobFilter>) => (): void => this.#set(change);
    const choose = (name: keyof JobFilter) => (value: string) => this.#set({ [name]: value });
    return html`${heading("Jobs", this.#renderCount())}
      <form class="filters" role="search" @submit=${this.#open}>
        <input id="job-search" type="search" placeholder="Search id, text, error, tag" aria-label="Search the jobs"
          autocomplete="off" .value=${filter.text} @input=${this.#type} @keydown=${leaveOnEscape} />
        ${select("State", filter.state, "any state", STATES, choose("state"))}
        ${select("Job type", filter.job_type, "any type", types, choose("job_type"))}
        ${select("Priority", filter.priority, "any priority", PRIORITIES, choose("priority"))}
        ${filter.tag === ""
          ? nothing
          : html`<button type="button" class="filter-tag" @click=${set({ tag: "" })} aria-label="Remove the tag ${filter.tag}">
              tag ${filter.tag} ✕
            </button>`}
        ${Object.values(filter).every((value) => value === "")
          ? nothing
          : html`<button type="button" @click=${set(NO_FILTER)}>Clear</button>`}
      </form>
      ${feed.error === null ? nothing : this.#renderError(feed.error.message)}
      <job-list .services=${this.services} .filter=${filter}></job-list>`;
  }

  #renderCount(): Content {
    const { feed } = this.services;
    if (!feed.loaded) return nothing;
    const shown = feed.jobs().length;
    const text = feed.hasOlder ? `the newest ${count(shown)}` : `${count(shown)} in all`;
    return html`<p class="count">${searchesText(feed.filter) ? `${count(shown)} found among the jobs read so far` : text}</p>`;
  }

  #renderError(message: string): TemplateResult {
    const again = html`<button type="button" @click=${() => this.services.live.refresh()}>Try again</button>`;
    return notice("error", message, again);
  }

  #set(change: Partial<JobFilter>): void {
    window.location.hash = address("jobs", { ...this.services.feed.filter, ...change });
  }

  #type(event: Event): void {
    const text = (event.target as HTMLInputElement).value;
    replaceAddress(address("jobs", { ...this.services.feed.filter, text }));
  }

  #open(event: Event): void {
    event.preventDefault();
    const { text } = this.services.feed.filter;
    if (isJobId(text)) window.location.hash = jobAddress(text.trim().toLowerCase());
    else this.querySelector<HTMLElement>("job-list .job-row a")?.focus();
  }
}

function leaveOnEscape(event: KeyboardEvent): void {
  if (event.key !== "Escape") return;
  // A browser would empty the field besides, and say nothing to whoever listens to its input.
  event.preventDefault();
  (event.target as HTMLElement).blur();
}

LiveView.define("jobs-view", JobsView);
