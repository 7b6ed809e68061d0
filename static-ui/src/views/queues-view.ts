import { html, nothing, type TemplateResult } from "lit-html";
import { clockTime, count, seconds } from "../format.ts";
import { type JobType, type Pause, type Percentiles, PRIORITIES, type Priority, type Queue, type Queues, type Stats, type Worker } from "../model.ts";
import { handling } from "../health.ts";
import type { Polled } from "../polled.ts";
import type { Series } from "../queue-history.ts";
import { address, jobAddress } from "../route.ts";
import { ask } from "./dialog.ts";
import { breakerText } from "./overview-view.ts";
import { ago, type Content, empty, heading, panel, table, whenRead } from "./parts.ts";
import { chart, throughput } from "./time-chart.ts";
import { LiveView } from "./view.ts";

const MOST_REASON = 200;

/** How deep the queues are, who works on them, how long jobs wait and run; and the switches. */
class QueuesView extends LiveView {
  protected override get reads(): Polled<unknown>[] {
    const { queues, stats, workers, jobTypes, audit } = this.services;
    return [queues, stats, workers, jobTypes, audit];
  }

  protected override render(): TemplateResult {
    const { queues, stats, workers, jobTypes, audit, history } = this.services;
    const lines = (series: Series) => (): { times: number[]; lines: { name: string; colour: string; values: (number | null)[] }[] } => ({
      times: series.times,
      lines: PRIORITIES.map((name, index) => ({ name, colour: name, values: series.values[index] ?? [] })),
    });
    return html`${heading("Queues")}
      ${panel("Now", whenRead(queues, "the depth of its queues", (value) => this.#renderQueues(value)), nothing, "rows")}
      <div class="columns">
        ${panel(
          "Waiting",
          whenRead(queues, "the depth of its queues", (value) => chart(value, "Waiting jobs by priority", count, lines(history.depth))),
          nothing,
          "chart",
        )}
        ${panel(
          "Oldest wait",
          whenRead(queues, "how long its oldest jobs wait", (value) => chart(value, "Seconds that the oldest job has waited, by priority", seconds, lines(history.age))),
          nothing,
          "chart",
        )}
      </div>
      ${panel("Jobs a minute", whenRead(stats, "figures by the minute", throughput), nothing, "chart")}
      <div class="columns">
        ${panel("Wait in the queue", whenRead(stats, "waiting times", (value) => percentiles("Priority", value.queue_wait_seconds, PRIORITIES)), nothing, "rows")}
        ${panel("Run time", whenRead(stats, "run times", renderRunTimes), nothing, "rows")}
      </div>
      ${panel("Job types", whenRead(jobTypes, "job types", (value) => this.#renderTypes(value)))}
      ${panel("Instances", whenRead(workers, "its running instances", renderWorkers))}
      ${panel(
        "Operations",
        whenRead(audit, "a record of operations", (entries) =>
          entries.length === 0
            ? empty("Nobody has paused, resumed, purged or replayed anything yet.")
            : table(
                "Operations",
                ["When", "Action", "Target", "Reason", "By"],
                entries.map(({ at, action, target, reason, by }) => [ago(at), action, target, reason, by]),
              ),
        ),
      )}`;
  }

  #renderQueues({ queues, dead, poison }: Queues): TemplateResult {
    const known = PRIORITIES.flatMap((priority) => queues.filter((queue) => queue.priority === priority));
    const rows = known.map((queue): Content[] => {
      const { waiting, running, age } = handling(queue, this.services.workers.value);
      return [
        html`<a href=${address("jobs", { priority: queue.priority })}>${queue.priority}</a>`,
        count(waiting),
        count(running),
        count(queue.scheduled),
        seconds(age),
        pauseText(queue.paused),
        html`<span class="actions">${this.#pauseButton(`/queues/${queue.priority}`, `${queue.priority} queue`, queue.paused)} ${this.#purgeButton(queue)}</span>`,
      ];
    });
    return html`${table("Queues now", ["Queue", "Waiting#", "Running#", "Scheduled#", "Oldest waits#", "Handling", "Switches"], rows)}
      <p class="note">
        <a href=${address("dead-letters")}>${count(dead)} dead letters</a>, ${count(poison)} poisoned messages. Scheduled jobs
        and retries wait for their time.
      </p>`;
  }

  #renderTypes(types: JobType[]): TemplateResult {
    return table(
      "Job types",
      ["Type", "Limits", "Breaker", "Handling", "Switches"],
      types.map((type) => [
        html`<a href=${address("jobs", { job_type: type.name })}>${type.name}</a>`,
        limitsText(type),
        html`${breakerText({ ...type, paused: null })}
        ${type.breaker !== undefined && type.breaker.state !== "closed"
          ? html`<span class="soft">${type.breaker.reason}${type.breaker.until === null ? "" : html`, tries again ${ago(type.breaker.until)}`}</span>`
          : nothing}`,
        type.paused === undefined ? "on" : pauseText(type.paused),
        // A server without the switch says nothing of a pause.
        type.paused === undefined ? "–" : this.#pauseButton(`/job-types/${encodeURIComponent(type.name)}`, type.name, type.paused),
      ]),
    );
  }

  #pauseButton(path: string, name: string, paused: Pause | null): TemplateResult {
    const word = paused === null ? "Pause" : "Resume";
    return html`<button type="button" class="quiet" ?disabled=${this.busy !== ""} aria-label="${word} ${name}"
      @click=${() => this.#switch(path, name, paused === null)}>${word}</button>`;
  }

  #purgeButton(queue: Queue): Content {
    if (queue.active + queue.scheduled === 0) return nothing;
    return html`<button type="button" class="quiet danger" ?disabled=${this.busy !== ""} aria-label="Cancel all waiting jobs of the ${queue.priority} queue"
      @click=${() => this.#purge(queue.priority)}>Cancel all</button>`;
  }

  async #switch(path: string, name: string, pause: boolean): Promise<void> {
    const reason = pause
      ? await ask({
          title: `Pause ${name}?`,
          text: "Jobs are still accepted and wait; what runs now runs on.",
          button: "Pause",
          field: { label: "Reason, for those who wonder", type: "text", required: false, maxLength: MOST_REASON },
        })
      : "";
    if (reason === null) return;
    await this.act(path, async () => {
      await this.services.api.setPaused(path, pause, reason);
      await this.#readAgain();
      return pause ? `Paused ${name}.` : `Resumed ${name}.`;
    });
  }

  async #purge(priority: Priority): Promise<void> {
    const { api } = this.services;
    await this.act(`purge ${priority}`, async () => {
      const { matched, more } = await api.purgeQueue(priority, true);
      const many = `${count(matched)}${more ? " or more" : ""} waiting jobs`;
      const answer = await ask({
        title: `Cancel ${many}?`,
        text: `All jobs of the ${priority} queue that wait are cancelled; what runs now runs on. A cancelled job can be retried one by one.`,
        button: `Cancel ${many}`,
        isDanger: true,
      });
      if (answer === null) return "Nothing was cancelled.";
      let cancelled = 0;
      for (let isMore = true; isMore; ) {
        const report = await api.purgeQueue(priority, false);
        cancelled += report.cancelled;
        // A call that gets no further is not repeated.
        isMore = report.more && report.cancelled > 0;
      }
      await this.#readAgain();
      return `Cancelled ${count(cancelled)} jobs.`;
    });
  }

  async #readAgain(): Promise<void> {
    const { queues, jobTypes, audit } = this.services;
    await Promise.all([queues.refresh(), jobTypes.refresh(), audit.refresh()]);
  }
}

function pauseText(paused: Pause | null): Content {
  if (paused === null) return "on";
  const by = `Since ${clockTime(paused.at)} by ${paused.by}`;
  return html`<span class="level-warning" title=${by}>paused ${ago(paused.at)}</span> <span class="soft">${paused.reason}</span>`;
}

function limitsText({ limits }: JobType): string {
  const parts = [
    limits?.rate_per_second ? `${limits.rate_per_second} a second` : "",
    limits?.max_concurrent ? `${limits.max_concurrent} at once` : "",
  ].filter((part) => part !== "");
  return parts.join(", ") || "none";
}

function percentiles(what: string, rows: Record<string, Percentiles>, names: readonly string[]): TemplateResult {
  return table(
    `${what}, last 15 minutes`,
    [what, "Jobs#", "p50#", "p90#", "p99#"],
    names.flatMap((name) => {
      const row = rows[name];
      return row === undefined ? [] : [[name, count(row.count), seconds(row.p50), seconds(row.p90), seconds(row.p99)]];
    }),
  );
}

function renderRunTimes({ run_seconds }: Stats): TemplateResult {
  const names = Object.keys(run_seconds).sort();
  return names.length === 0 ? empty("Nothing ran in the last 15 minutes.") : percentiles("Type", run_seconds, names);
}

function renderWorkers(workers: Worker[]): TemplateResult {
  if (workers.length === 0) return empty("No instance runs now. One starts with the next job.");
  return table(
    "Instances",
    ["Instance", "Serves", "Busy#", "Running jobs", "Version", "Started", "Seen"],
    workers.map((worker) => [
      html`<code class="clip" title=${worker.instance_id}>${worker.instance_id}</code>`,
      worker.functions.map((name) => name.replace("run_", "")).join(", "),
      `${worker.running.length} of ${worker.slots}`,
      html`${worker.running.map((job) => html`<a href=${jobAddress(job.job_id)}>${job.job_type}</a> `)}`,
      worker.version,
      ago(worker.started_at),
      ago(worker.last_seen_at),
    ]),
  );
}

LiveView.define("queues-view", QueuesView);
