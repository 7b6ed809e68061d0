import { html, nothing, type TemplateResult } from "lit-html";
import { ApiError } from "../api.ts";
import type { JobType } from "../model.ts";
import { type JobForm, newForm, placeProblems, readForm, withInput } from "../new-job.ts";
import type { Polled } from "../polled.ts";
import { address, jobAddress } from "../route.ts";
import type { Inputs } from "../schema.ts";
import { schemaForm } from "../schema-form.ts";
import { curl, dtq } from "../snippets.ts";
import { heading, notice, panel, whenRead } from "./parts.ts";
import { type Changed, LiveView } from "./view.ts";
import "./batch-form.ts";
import "./copy-button.ts";

/** Choose a job type, fill in its form, submit; on success the page goes to the new job. Or paste many at once. */
class NewJobView extends LiveView {
  static override properties = [...LiveView.properties, "query", "form", "failure", "language"];
  declare query: URLSearchParams;
  declare private form: JobForm | null;
  /** What went wrong that belongs to no field. */
  declare private failure: string | null;
  declare private language: "curl" | "dtq";
  /** The address that the form was filled for: its own changes must not be typed over. */
  #filledFor: string | null = null;

  constructor() {
    super();
    this.form = null;
    this.failure = null;
    this.language = "curl";
  }

  protected override get reads(): Polled<unknown>[] {
    return [this.services.jobTypes];
  }

  protected override willUpdate(_changed: Changed): void {
    const types = this.services.jobTypes.value;
    const wanted = this.query.toString();
    if (types === null || types.length === 0 || this.#filledFor === wanted) return;
    this.#filledFor = wanted;
    void this.#fill(types);
  }

  protected override render(): TemplateResult {
    const isBatch = this.query.get("mode") === "batch";
    const tab = (text: string, mode: string, isHere: boolean): TemplateResult =>
      html`<a href=${address("new", { mode })} aria-current=${isHere ? "page" : nothing}>${text}</a>`;
    return html`${heading("New job", html`<nav class="tabs" aria-label="How many">${tab("One job", "", !isBatch)} ${tab("A batch", "batch", isBatch)}</nav>`)}
      ${isBatch
        ? html`<batch-form .services=${this.services}></batch-form>`
        : whenRead(this.services.jobTypes, "job types", (types) => (types.length === 0 ? "The API offers no job types." : this.#renderForm(types)))}`;
  }

  #renderForm(types: JobType[]): TemplateResult | typeof nothing {
    const { form } = this;
    if (form === null) return nothing;
    const onInput = (part: "payload" | "options") => (name: string, value: Inputs[string]) => {
      this.form = withInput(form, part, name, value);
    };
    const fieldsOf = (part: "payload" | "options"): TemplateResult[] =>
      schemaForm(part, form[part].fields, form[part].inputs, form[part].errors, onInput(part));
    const isBusy = this.busy !== "";
    return html`<div class="columns columns-form">
      <form class="panel job-form" novalidate @submit=${this.#submit} aria-busy=${isBusy ? "true" : "false"}>
        <div class="field">
          <label for="job-type">Job type</label>
          <select id="job-type" @change=${(event: Event) => this.#choose((event.target as HTMLSelectElement).value)}>
            ${types.map((type) => html`<option .selected=${type.name === form.type.name}>${type.name}</option>`)}
          </select>
          <p class="hint">${form.type.description}</p>
        </div>
        <fieldset><legend>Payload</legend>${fieldsOf("payload")}</fieldset>
        <fieldset class="options"><legend>When and how</legend>${fieldsOf("options")}</fieldset>
        ${this.failure === null ? nothing : notice("error", this.failure)}
        <p class="actions">
          <button type="submit" class="primary" ?disabled=${isBusy}>${isBusy ? "Submitting…" : "Submit job"}</button>
          <button type="button" @click=${() => this.#choose(form.type.name)}>Reset</button>
        </p>
      </form>
      ${this.#renderSnippet(form)}
    </div>`;
  }

  #renderSnippet(form: JobForm): TemplateResult {
    const { api, key } = this.services;
    const write = this.language === "curl" ? curl : dtq;
    const text = write(`${api.base}/jobs`, readForm(form).job, key.get() !== null);
    const languages = (["curl", "dtq"] as const).map(
      (name) => html`<button type="button" class="quiet" aria-pressed=${name === this.language ? "true" : "false"} @click=${() => (this.language = name)}>${name}</button>`,
    );
    return html`<div class="snippet">
      ${panel(
        "The same from a shell",
        html`<pre class="result" tabindex="0" role="group" aria-label="The same in ${this.language}">${text}</pre>`,
        html`<span class="actions">${languages}<copy-button .text=${text} .label=${`Copy the ${this.language} command`}></copy-button></span>`,
      )}
    </div>`;
  }

  /** The form that the address asks for: of a type, or with all that an earlier job had. */
  async #fill(types: JobType[]): Promise<void> {
    this.failure = null;
    const from = this.query.get("from");
    const byName = (name: string | null): JobType | undefined => types.find((type) => type.name === name);
    const chosen = byName(this.query.get("type")) ?? types[0];
    if (chosen === undefined) return;
    if (from === null) {
      this.form = newForm(chosen, null);
      return;
    }
    try {
      const earlier = await this.services.api.details(from);
      const type = byName(earlier.job_type);
      this.form = newForm(type ?? chosen, type === undefined ? null : earlier);
      if (type === undefined) this.failure = `There is no type ${earlier.job_type} any more.`;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.form = newForm(chosen, null);
      this.failure = `The earlier job cannot be read: ${error.message}`;
    }
  }

  #choose(name: string): void {
    const type = this.services.jobTypes.value?.find((each) => each.name === name);
    if (type !== undefined) this.form = newForm(type, null);
    this.failure = null;
  }

  async #submit(event: Event): Promise<void> {
    event.preventDefault();
    if (this.form === null || this.busy !== "") return;
    const { job, form, isValid } = readForm(this.form);
    this.form = form;
    this.failure = null;
    if (isValid) {
      this.busy = "submit";
      try {
        const submitted = await this.services.api.submit(job);
        this.services.store.upsert([submitted]);
        window.location.hash = jobAddress(submitted.job_id);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        const { form: marked, unplaced } = placeProblems(form, error.fields);
        this.form = marked;
        this.failure = error.fields.length === 0 ? error.message : unplaced.join(" ") || null;
      } finally {
        this.busy = "";
      }
    }
    await this.updateComplete;
    this.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
  }
}

LiveView.define("new-job-view", NewJobView);
