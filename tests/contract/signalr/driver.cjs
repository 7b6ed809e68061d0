// Drives real @microsoft/signalr connections for the contract suite: commands are JSON lines on stdin, events on stdout.
// Commands: {op: "start", name, url, token?, options?} {op: "invoke"|"send", name, method, args} {op: "stop", name}
const readline = require("node:readline");
const { HubConnectionBuilder, LogLevel } = require("@microsoft/signalr");

const connections = new Map();
const emit = (name, event, data = {}) => process.stdout.write(`${JSON.stringify({ name, event, ...data })}\n`);

async function start({ name, url, token, options = {} }) {
  const connection = new HubConnectionBuilder()
    .withUrl(url, token ? { accessTokenFactory: () => token } : {})
    .withAutomaticReconnect(Array(100).fill(100))
    .configureLogging(LogLevel.None)
    .build();
  Object.assign(connection, options);
  connections.set(name, connection);
  connection.on("jobsChanged", (...args) => emit(name, "message", { args }));
  connection.onreconnecting((error) => emit(name, "reconnecting", { error: error?.message ?? null }));
  connection.onreconnected((id) => emit(name, "reconnected", { id }));
  connection.onclose((error) => emit(name, "closed", { error: error?.message ?? null }));
  try {
    await connection.start();
    emit(name, "connected", { id: connection.connectionId });
  } catch (error) {
    emit(name, "refused", { error: error.message });
  }
}

async function run({ op, name, method, args = [], ...rest }) {
  if (op === "start") return start({ name, ...rest });
  const connection = connections.get(name);
  if (op === "stop") return connection.stop().then(() => emit(name, "stopped"));
  try {
    emit(name, "returned", { result: (await connection[op](method, ...args)) ?? null });
  } catch (error) {
    emit(name, "failed", { error: error.message });
  }
}

readline.createInterface({ input: process.stdin }).on("line", (line) => run(JSON.parse(line)));
process.stdin.on("end", () => process.exit(0));
