// Reads {tables: {name: {column: type}}, queries: {name: text}} as JSON from stdin, has Microsoft's Kusto parser analyse
// each query against the tables, and writes {name: [fault, ...]} to stdout. An unknown table, column or function is a
// fault as much as a syntax error is.
require('@kusto/language-service-next/bridge.min.js');
require('@kusto/language-service-next/Kusto.Language.Bridge.min.js');

const { GlobalState, KustoCode, Symbols } = Kusto.Language;

// The library was compiled from C#: `$ctor7` takes a name, a schema as text and a description.
const table = ([name, columns]) =>
  new Symbols.TableSymbol.$ctor7(name, `(${Object.entries(columns).map(([column, type]) => `${column}: ${type}`)})`, null);

function faults(text, globals) {
  const found = KustoCode.ParseAndAnalyze(text, globals).GetDiagnostics();
  return Array.from({ length: found.Count }, (_, index) => found.getItem(index)).map(
    (each) => `line ${text.slice(0, each.Start).split('\n').length}: ${each.Message}`,
  );
}

const { tables, queries } = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const database = new Symbols.DatabaseSymbol.ctor('insights', Object.entries(tables).map(table));
const globals = GlobalState.Default.WithDatabase(database);
const result = Object.fromEntries(Object.entries(queries).map(([name, text]) => [name, faults(text, globals)]));
process.stdout.write(JSON.stringify(result));
