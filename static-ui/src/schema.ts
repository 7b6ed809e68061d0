/**
 * A job type's JSON Schema as a flat list of form fields, and what was typed into them as a payload. Understands what
 * msgspec writes for a struct: `$ref` into `$defs`, `anyOf` with null, enums, arrays of strings, limits and defaults.
 * Anything richer becomes a field that takes JSON.
 */
import { count } from "./format.ts";
import type { JsonSchema } from "./model.ts";

export type FieldKind = "string" | "integer" | "number" | "boolean" | "choice" | "list" | "time" | "json";

export interface Field {
  name: string;
  label: string;
  kind: FieldKind;
  required: boolean;
  description: string;
  /** Undefined where the schema gives none. */
  fallback: unknown;
  /** The values to choose from; empty unless `kind` is "choice". */
  choices: unknown[];
  /** The limits in words, for example "1 to 100 characters"; empty where there are none. */
  limits: string;
}

/** What a control holds: text, or for a checkbox whether it is ticked. An empty text means "not given". */
export type Input = string | boolean;
export type Inputs = Record<string, Input>;
export type FieldErrors = Record<string, string>;

export function fieldsOf(root: JsonSchema): Field[] {
  const schema = resolve(root, root);
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).map(([name, property]) => {
    const outer = resolve(property, root);
    const alternatives = (outer.anyOf ?? [outer]).map((each) => resolve(each, root));
    const values = alternatives.filter((each) => each.type !== "null");
    // Several types besides null have no control of their own.
    const value = values.length === 1 && values[0] !== undefined ? values[0] : {};
    const nullable = values.length < alternatives.length;
    const kind = kindOf(value, root, nullable);
    return {
      name,
      label: labelOf(name),
      kind,
      required: required.has(name),
      description: property.description ?? value.description ?? "",
      fallback: property.default,
      choices: kind === "choice" ? (value.enum ?? (value.type === "boolean" ? [true, false] : [value.const])) : [],
      limits: limitsOf(value, root),
    };
  });
}

/** What the controls show at first: the example's values, and the ticks of the defaults. */
export function initialInputs(fields: Field[], example: Record<string, unknown>): Inputs {
  return Object.fromEntries(fields.map((field) => [field.name, inputOf(field, example[field.name])]));
}

/** The payload that was typed, without what was left empty, and what is wrong with it, by field name. */
export function readInputs(fields: Field[], inputs: Inputs): { payload: Record<string, unknown>; errors: FieldErrors } {
  const payload: Record<string, unknown> = {};
  const errors: FieldErrors = {};
  for (const field of fields) {
    const input = inputs[field.name] ?? "";
    if (input === "") {
      if (field.required) errors[field.name] = "This field is required.";
      continue;
    }
    try {
      payload[field.name] = valueOf(field, input);
    } catch (error) {
      errors[field.name] = error instanceof Error ? error.message : String(error);
    }
  }
  return { payload, errors };
}

/** The text of a value as a control shows it and `readInputs` reads it back. */
export function textOf(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (Array.isArray(value)) return value.map(textOf).join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function resolve(schema: JsonSchema, root: JsonSchema): JsonSchema {
  const name = schema.$ref?.split("/").at(-1);
  const target = name === undefined ? undefined : root.$defs?.[name];
  return target === undefined ? schema : resolve(target, root);
}

function kindOf(schema: JsonSchema, root: JsonSchema, nullable: boolean): FieldKind {
  if (schema.enum !== undefined || schema.const !== undefined) return "choice";
  switch (schema.type) {
    case "string":
      return schema.format === "date-time" ? "time" : "string";
    case "integer":
    case "number":
      return schema.type;
    case "boolean":
      // A tick cannot say "neither".
      return nullable ? "choice" : "boolean";
    case "array":
      return resolve(schema.items ?? {}, root).type === "string" ? "list" : "json";
    default:
      return "json";
  }
}

function labelOf(name: string): string {
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function limitsOf(schema: JsonSchema, root: JsonSchema): string {
  const items = schema.type === "array" ? resolve(schema.items ?? {}, root) : {};
  const pattern = schema.pattern ?? items.pattern;
  return [
    schema.exclusiveMinimum === undefined ? "" : `more than ${count(schema.exclusiveMinimum)}`,
    schema.exclusiveMaximum === undefined ? "" : `less than ${count(schema.exclusiveMaximum)}`,
    range(schema.minimum, schema.maximum, ""),
    range(schema.minLength, schema.maxLength, " characters"),
    range(schema.minItems, schema.maxItems, " items"),
    pattern === undefined ? "" : `pattern ${pattern}`,
  ]
    .filter((text) => text !== "")
    .join(", ");
}

function range(low: number | undefined, high: number | undefined, unit: string): string {
  if (low !== undefined && high !== undefined) return `${count(low)} to ${count(high)}${unit}`;
  if (low !== undefined) return `at least ${count(low)}${unit}`;
  return high === undefined ? "" : `at most ${count(high)}${unit}`;
}

function inputOf(field: Field, example: unknown): Input {
  if (field.kind === "boolean") return (example ?? field.fallback) === true;
  if (field.kind === "time") return typeof example === "string" ? localTime(example) : "";
  if (field.kind === "json") return example === undefined ? "" : JSON.stringify(example, null, 2);
  return textOf(example);
}

function valueOf(field: Field, input: Input): unknown {
  if (typeof input === "boolean") return input;
  switch (field.kind) {
    case "integer":
    case "number": {
      const value = Number(input);
      if (!Number.isFinite(value)) throw new TypeError("This is not a number.");
      if (field.kind === "integer" && !Number.isInteger(value)) throw new TypeError("This is not a whole number.");
      return value;
    }
    case "time": {
      const time = new Date(input);
      if (Number.isNaN(time.getTime())) throw new TypeError("This is not a date and time.");
      return time.toISOString();
    }
    case "choice":
      return field.choices.find((choice) => textOf(choice) === input);
    case "list":
      return input.split(/[,\n]/).map((item) => item.trim()).filter((item) => item !== "");
    case "json":
      try {
        return JSON.parse(input) as unknown;
      } catch {
        throw new TypeError('This is not JSON; write text in double quotes, for example "done".');
      }
    default:
      return input;
  }
}

/** A time as a control for local date and time takes it, to the second. */
function localTime(time: string): string {
  const at = Date.parse(time);
  const local = new Date(at - new Date(at).getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19);
}
