import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonSchema } from "../src/model.ts";
import { type Field, fieldsOf, initialInputs, readInputs } from "../src/schema.ts";

/** As `msgspec.json.schema` writes a struct with one field of each kind. */
const SCHEMA: JsonSchema = {
  $ref: "#/$defs/Payload",
  $defs: {
    Payload: {
      title: "Payload",
      type: "object",
      properties: {
        city: { description: "City to look up", type: "string", minLength: 1, maxLength: 100 },
        country_code: { anyOf: [{ type: "string", pattern: "^[A-Z]{2}$" }, { type: "null" }], default: null },
        units: { $ref: "#/$defs/Units", default: "metric" },
        symbols: { type: "array", items: { type: "string" }, minItems: 1 },
        amount: { type: "number", exclusiveMinimum: 0, default: 1 },
        days: { anyOf: [{ type: "integer", minimum: 0, maximum: 10 }, { type: "null" }], default: null },
        exact: { type: "boolean", default: true },
        maybe: { anyOf: [{ type: "boolean" }, { type: "null" }], default: null },
        inner: { anyOf: [{ $ref: "#/$defs/Inner" }, { type: "null" }], default: null },
        either: { anyOf: [{ type: "integer" }, { type: "string" }], default: 3 },
        result: {},
      },
      required: ["city", "symbols"],
    },
    Units: { title: "Units", enum: ["imperial", "metric"] },
    Inner: { type: "object", properties: { a: { type: "integer" } } },
  },
};
const FIELDS = fieldsOf(SCHEMA);

function field(name: string): Field {
  const found = FIELDS.find((each) => each.name === name);
  assert.ok(found, `no field ${name}`);
  return found;
}

test("every property becomes a field of its kind, in the schema's order", () => {
  assert.deepEqual(
    FIELDS.map((each) => [each.name, each.kind]),
    [
      ["city", "string"],
      ["country_code", "string"],
      ["units", "choice"],
      ["symbols", "list"],
      ["amount", "number"],
      ["days", "integer"],
      ["exact", "boolean"],
      ["maybe", "choice"],
      ["inner", "json"],
      ["either", "json"],
      ["result", "json"],
    ],
  );
});

test("labels, descriptions, limits, defaults and what is required", () => {
  assert.deepEqual(FIELDS.filter((each) => each.required).map((each) => each.name), ["city", "symbols"]);
  assert.equal(field("country_code").label, "Country code");
  assert.equal(field("city").description, "City to look up");
  assert.equal(field("city").limits, "1 to 100 characters");
  assert.equal(field("country_code").limits, "pattern ^[A-Z]{2}$");
  assert.equal(field("days").limits, "0 to 10");
  assert.equal(field("amount").limits, "more than 0");
  assert.equal(field("units").fallback, "metric");
  assert.deepEqual(field("units").choices, ["imperial", "metric"]);
  assert.deepEqual(field("maybe").choices, [true, false]);
});

test("a schema without $ref works too", () => {
  assert.deepEqual(fieldsOf({ type: "object", properties: { n: { type: "integer" } } }).map((each) => each.kind), [
    "integer",
  ]);
});

test("the example fills the form and comes back as the same payload", () => {
  const example = {
    city: "Austin",
    units: "imperial",
    symbols: ["EUR", "GBP"],
    amount: 2.5,
    days: 3,
    exact: false,
    maybe: true,
    inner: { a: 1 },
    either: "x",
    result: null,
  };
  assert.deepEqual(readInputs(FIELDS, initialInputs(FIELDS, example)), { payload: example, errors: {} });
});

test("what is left empty is left out, and missed where it is required", () => {
  const { payload, errors } = readInputs(FIELDS, initialInputs(FIELDS, {}));
  assert.deepEqual(payload, { exact: true });
  assert.deepEqual(Object.keys(errors), ["city", "symbols"]);
});

test("text that cannot be read as its type is an error at its field", () => {
  const inputs = { ...initialInputs(FIELDS, { city: "Austin", symbols: ["EUR"] }) };
  const { errors } = readInputs(FIELDS, { ...inputs, amount: "much", days: "1.5", inner: "{" });
  assert.match(errors["amount"] ?? "", /not a number/);
  assert.match(errors["days"] ?? "", /not a whole number/);
  assert.match(errors["inner"] ?? "", /not JSON/);
});

test("a list is split at commas and lines", () => {
  const { payload } = readInputs(FIELDS, { city: "Austin", symbols: " EUR, GBP,\nJPY , " });
  assert.deepEqual(payload["symbols"], ["EUR", "GBP", "JPY"]);
});
