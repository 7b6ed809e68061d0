import { html, nothing, type TemplateResult } from "lit";
import { ApiError } from "../api.ts";
import { type JobType, PRIORITIES, type Priority } from "../model.ts";
import { jobAddress } from "../route.ts";
import { type Field, type FieldErrors, fieldsOf, initialInputs, type Inputs, readInputs } from "../schema.ts";
import { controlId, schemaForm } from "../schema-form.ts";
import type { Services } from "../services.ts";
import { notice } from "./parts.ts";
import { View } from "./view.ts";

const DEFAULT_PRIORITY: Priority = "medium";

/** Choose a job type, fill in its payload, submit; on success the page goes to the new job. */
class SubmitForm extends View {
  static override properties = {
    services: { attribute: false },
    types: { state: true },
    failure: { state: true },
    chosen: { state: true },
    inputs: { state: true },
    errors: { state: true },
    priority: { state: true },
    busy: { state: true },
  };
  declare services: Services;
  declare private types: JobType[] | null;
  /** What went wrong that belongs to no field. */
  declare private failure: string | null;
  declare private chosen: JobType | null;
  declare private inputs: Inputs;
  declare private errors: FieldErrors;
  declare private priority: Priority;
  declare private busy: boolean;
  #fields: Field[] = [];

  constructor() {
    super();
    this.types = null;
    this.failure = null;
    this.chosen = null;
    this.inputs = {};
    this.errors = {};
    this.priority = DEFAULT_PRIORITY;
    this.busy = false;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    void this.#load();
  }

  protected override render(): TemplateResult {
    if (this.types === null || this.chosen === null) return this.#renderUnloaded();
    const onInput = (name: string, value: Inputs[string]): void => {
      this.inputs = { ...this.inputs, [name]: value };
      const { [name]: _, ...others } = this.errors;
      this.errors = others;
    };
    return html`<form novalidate @submit=${this.#submit} aria-busy=${this.busy ? "true" : "false"}>
      <div class="field">
        <label for="job-type">Job type</label>
        <select id="job-type" @change=${(event: Event) => this.#choose((event.target as HTMLSelectElement).value)}>
          ${this.types.map((type) => html`<option ?selected=${type === this.chosen}>${type.name}</option>`)}
        </select>
        <p class="hint">${this.chosen.description}</p>
      </div>
      ${schemaForm(this.#fields, this.inputs, this.errors, onInput)}
      <div class="field">
        <label for="priority">Priority</label>
        <select id="priority" @change=${this.#choosePriority}>
          ${PRIORITIES.map((each) => html`<option ?selected=${each === this.priority}>${each}</option>`)}
        </select>
      </div>
      ${this.failure === null ? nothing : notice("error", this.failure)}
      <p class="actions">
        <button type="submit" class="primary" ?disabled=${this.busy}>${this.busy ? "Submitting…" : "Submit job"}</button>
        <button type="button" @click=${() => this.#choose(this.chosen?.name ?? "")}>Reset</button>
      </p>
    </form>`;
  }

  #renderUnloaded(): TemplateResult {
    if (this.failure === null) return html`<p class="placeholder">Loading job types…</p>`;
    return notice("error", this.failure, html`<button type="button" @click=${this.#load}>Try again</button>`);
  }

  async #load(): Promise<void> {
    this.failure = null;
    try {
      this.types = await this.services.api.jobTypes();
      this.#choose(this.types[0]?.name ?? "");
      if (this.types.length === 0) this.failure = "The API offers no job types.";
    } catch (error) {
      this.#fail(error);
    }
  }

  #choose(name: string): void {
    this.chosen = this.types?.find((type) => type.name === name) ?? null;
    this.priority = this.chosen?.defaults.priority ?? DEFAULT_PRIORITY;
    this.#fields = this.chosen === null ? [] : fieldsOf(this.chosen.payload_schema);
    this.inputs = initialInputs(this.#fields, this.chosen?.example ?? {});
    this.errors = {};
    this.failure = null;
  }

  #choosePriority(event: Event): void {
    const chosen = (event.target as HTMLSelectElement).value;
    this.priority = PRIORITIES.find((each) => each === chosen) ?? DEFAULT_PRIORITY;
  }

  async #submit(event: Event): Promise<void> {
    event.preventDefault();
    if (this.chosen === null || this.busy) return;
    const { payload, errors } = readInputs(this.#fields, this.inputs);
    this.errors = errors;
    this.failure = null;
    if (Object.keys(errors).length === 0) {
      this.busy = true;
      try {
        const job = await this.services.api.submit({
          job_type: this.chosen.name,
          payload,
          priority: this.priority,
        });
        this.services.store.upsert([job]);
        window.location.hash = jobAddress(job.job_id);
      } catch (error) {
        this.#fail(error);
      } finally {
        this.busy = false;
      }
    }
    await this.#focusFirstError();
  }

  /** Show each of the API's complaints at its field, and what is left over above the button. */
  #fail(error: unknown): void {
    if (!(error instanceof ApiError)) throw error;
    const unplaced: string[] = [];
    const errors: FieldErrors = {};
    for (const { pointer, detail } of error.fields) {
      const [, place, name = ""] = pointer.split("/");
      if (place === "payload" && this.#fields.some((field) => field.name === name)) errors[name] = detail;
      else unplaced.push(detail);
    }
    this.errors = errors;
    this.failure = error.fields.length === 0 ? error.message : unplaced.join(" ") || null;
  }

  async #focusFirstError(): Promise<void> {
    await this.updateComplete;
    const first = this.#fields.find((field) => this.errors[field.name] !== undefined);
    if (first !== undefined) this.querySelector<HTMLElement>(`#${CSS.escape(controlId(first.name))}`)?.focus();
  }
}

customElements.define("submit-form", SubmitForm);
