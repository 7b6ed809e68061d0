/** The form of a job type: one labelled control a field, its hint, and what is wrong with it. */
import { html, nothing, type TemplateResult } from "lit-html";
import { type Field, type FieldErrors, type Input, type Inputs, textOf } from "./schema.ts";

export type OnInput = (name: string, value: Input) => void;

/** `group` keeps the ids of two forms apart. */
export function schemaForm(
  group: string,
  fields: Field[],
  inputs: Inputs,
  errors: FieldErrors,
  onInput: OnInput,
): TemplateResult[] {
  return fields.map((field) => {
    const id = controlId(group, field.name);
    const error = errors[field.name];
    const hint = hintOf(field);
    const label = html`<label for=${id}>
      ${field.label}${field.required ? html` <span class="required">required</span>` : nothing}
    </label>`;
    const described = `${id}-hint ${id}-error`;
    const input = control(id, field, inputs[field.name] ?? "", described, error !== undefined, onInput);
    return html`<div class="field field-${field.kind}">
      ${field.kind === "boolean" ? html`${input}${label}` : html`${label}${input}`}
      <p class="hint" id="${id}-hint">${hint}</p>
      <p class="field-error" id="${id}-error">${error ?? nothing}</p>
    </div>`;
  });
}

export function controlId(group: string, name: string): string {
  return `${group}-${name}`;
}

function hintOf(field: Field): string {
  const parts = [
    field.description,
    field.kind === "list" ? "separated by commas" : "",
    field.kind === "json" ? "as JSON" : "",
    field.kind === "time" ? "on your clock" : "",
    field.limits,
    hasDefault(field) && field.kind !== "boolean" && field.kind !== "choice" ? `default ${textOf(field.fallback)}` : "",
  ];
  return parts.filter((part) => part !== "").join(" · ");
}

function hasDefault(field: Field): boolean {
  return textOf(field.fallback) !== "";
}

function control(
  id: string,
  field: Field,
  value: Input,
  described: string,
  invalid: boolean,
  onInput: OnInput,
): TemplateResult {
  const onText = (event: Event): void => onInput(field.name, (event.target as HTMLInputElement).value);
  const aria = invalid ? "true" : "false";
  switch (field.kind) {
    case "boolean": {
      const onTick = (event: Event): void => onInput(field.name, (event.target as HTMLInputElement).checked);
      return html`<input type="checkbox" id=${id} .checked=${value === true} @change=${onTick}
        aria-describedby=${described} aria-invalid=${aria} />`;
    }
    case "choice":
      return html`<select id=${id} @change=${onText} aria-describedby=${described} aria-invalid=${aria}>
        ${field.required ? nothing : html`<option value="" .selected=${value === ""}>${emptyChoice(field)}</option>`}
        ${field.choices.map((choice) => {
          const text = textOf(choice);
          return html`<option value=${text} .selected=${text === value}>${text}</option>`;
        })}
      </select>`;
    case "json":
      return html`<textarea id=${id} rows="2" spellcheck="false" .value=${String(value)} @input=${onText}
        aria-describedby=${described} aria-invalid=${aria}></textarea>`;
    default:
      return html`<input type=${field.kind === "time" ? "datetime-local" : "text"} step=${field.kind === "time" ? "1" : nothing} id=${id} autocomplete="off" .value=${String(value)} @input=${onText}
        inputmode=${field.kind === "integer" ? "numeric" : field.kind === "number" ? "decimal" : nothing}
        aria-required=${field.required ? "true" : nothing} aria-describedby=${described} aria-invalid=${aria} />`;
  }
}

function emptyChoice(field: Field): string {
  return hasDefault(field) ? `${textOf(field.fallback)} (default)` : "not given";
}
