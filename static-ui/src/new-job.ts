/** The form of a new job: what goes around the payload, and the request that both together make. */
import { type JobDetails, type JobType, type JsonSchema, type NewJob, PRIORITIES } from "./model.ts";
import { type Field, type FieldErrors, fieldsOf, initialInputs, type Inputs, readInputs } from "./schema.ts";

/** A part of the form: its fields, what was typed, and what is wrong. */
export interface Part {
  fields: Field[];
  inputs: Inputs;
  errors: FieldErrors;
}

export interface JobForm {
  type: JobType;
  payload: Part;
  options: Part;
}

/** The limits are the API's, so that most mistakes show before anything is sent; the API has the last word. */
function optionsSchema({ defaults }: JobType): JsonSchema {
  return {
    properties: {
      priority: { enum: [...PRIORITIES] },
      delay_seconds: { type: "number", minimum: 0, description: "run it so many seconds from now" },
      run_at: { type: "string", format: "date-time", description: "or at this time" },
      max_retries: { type: "integer", minimum: 0, maximum: 25, default: defaults.max_retries },
      timeout_seconds: { type: "number", minimum: 1, maximum: 1_700, default: defaults.timeout_seconds },
      tags: { type: "array", items: { type: "string" }, maxItems: 20 },
    },
    required: ["priority"],
  };
}

/** The form of a type, filled with its example or with what an earlier job had. */
export function newForm(type: JobType, from: JobDetails | null): JobForm {
  const payload = fieldsOf(type.payload_schema);
  const options = fieldsOf(optionsSchema(type));
  const earlier = from === null ? {} : { tags: from.tags, max_retries: from.max_attempts - 1 };
  const priority = from?.priority ?? type.defaults.priority;
  return {
    type,
    payload: { fields: payload, inputs: initialInputs(payload, from?.payload ?? type.example), errors: {} },
    options: { fields: options, inputs: initialInputs(options, { priority, ...earlier }), errors: {} },
  };
}

/** The request as far as it can be read, and the form with its errors marked. */
export function readForm(form: JobForm): { job: NewJob; form: JobForm; isValid: boolean } {
  const payload = readInputs(form.payload.fields, form.payload.inputs);
  const options = readInputs(form.options.fields, form.options.inputs);
  return {
    job: { job_type: form.type.name, payload: payload.payload, ...options.payload },
    form: withErrors(form, payload.errors, options.errors),
    isValid: Object.keys(payload.errors).length + Object.keys(options.errors).length === 0,
  };
}

/** The form with the API's complaints at their fields, and those that belong to no field. */
export function placeProblems(
  form: JobForm,
  problems: readonly { pointer: string; detail: string }[],
): { form: JobForm; unplaced: string[] } {
  const payload: FieldErrors = {};
  const options: FieldErrors = {};
  const unplaced: string[] = [];
  const has = (part: Part, name: string): boolean => part.fields.some((field) => field.name === name);
  for (const { pointer, detail } of problems) {
    const [, first = "", second = ""] = pointer.split("/");
    if (first === "payload" && has(form.payload, second)) payload[second] = detail;
    else if (has(form.options, first)) options[first] = detail;
    else unplaced.push(detail);
  }
  return { form: withErrors(form, payload, options), unplaced };
}

function withErrors(form: JobForm, payload: FieldErrors, options: FieldErrors): JobForm {
  return { ...form, payload: { ...form.payload, errors: payload }, options: { ...form.options, errors: options } };
}

/** The form after something was typed; a field that is changed is no longer wrong. */
export function withInput(form: JobForm, part: "payload" | "options", name: string, value: Inputs[string]): JobForm {
  const { [name]: _, ...errors } = form[part].errors;
  return { ...form, [part]: { ...form[part], inputs: { ...form[part].inputs, [name]: value }, errors } };
}
