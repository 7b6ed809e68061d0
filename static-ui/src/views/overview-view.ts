import { html, nothing, type TemplateResult } from "lit-html";
import { count, seconds } from "../format.ts";
import { failureRates, findings, handling, type Level, levelOf } from "../health.ts";
import { type JobType, PRIORITIES, type Queues, type Stats } from "../model.ts";
import type { Polled } from "../polled.ts";
import { address, jobAddress } from "../route.ts";
import { ago, type Content, empty, heading, jobMessage, panel, table, whenRead } from "./parts.ts";
import { LiveView } from "./view.ts";
import { throughput } from "./time-chart.ts";

const VERDICTS: Record<Level, string> = { good: "Healthy", warning: "Worth a look", bad: "In trouble" };

/** Is it healthy? One look. */
class OverviewView extends LiveView {
  protected override get reads(): Polled<unknown>[] {
    const { stats, workers, jobTypes, readiness, failures } = this.services;
    return [stats, workers, jobTypes, readiness, failures];
  }

  protected override render(): TemplateResult {
    const { stats, queues, failures } = this.services;
    return html`${heading("Overview")} ${this.#renderVerdict()} ${this.#renderTiles()}
      ${panel("Jobs a minute", whenRead(stats, "figures by the minute", throughput), nothing, "chart")}
      <div class="columns">
        ${panel("Queues", whenRead(queues, "the depth of its queues", (value) => this.#renderQueues(value)), html`<a href=${address("queues")}>Details</a>`, "rows")}
        ${panel("Job types", whenRead(stats, "figures by job type", (value) => this.#renderTypes(value)), nothing, "rows")}
      </div>
      ${panel(
        "Latest failures",
        whenRead(failures, "failed jobs", (jobs) =>
          jobs.length === 0
            ? empty("No job has failed.")
            : table(
                "Latest failures",
                ["Job", "Error", "Message", "When"],
                jobs.map((job) => [
                  html`<a href=${jobAddress(job.job_id)}>${job.job_type}</a>`,
                  html`<code>${job.error?.code ?? ""}</code>`,
                  html`<span class="clip" title=${jobMessage(job)}>${jobMessage(job)}</span>`,
                  ago(job.finished_at ?? job.updated_at),
                ]),
              ),
        ),
        html`<a href=${address("jobs", { state: "failed" })}>All failed jobs</a>`,
      )}`;
  }

  #renderVerdict(): TemplateResult {
    const { feed, live, readiness, queues, stats, workers, jobTypes } = this.services;
    const parts = [queues, stats, workers, jobTypes];
    const isReading = (!feed.loaded && feed.error === null) || parts.some((each) => each.value === null && each.error === null);
    if (isReading) return html`<section class="verdict panel" aria-label="Health"><p class="loading">Looking…</p></section>`;
    const isBlind = parts.some((each) => !each.isOffered);
    const found = findings({
      error: feed.error,
      // The first moments are no outage.
      isLive: live.status === "live" || live.status === "connecting",
      readiness: readiness.value,
      queues: queues.value,
      stats: stats.value,
      workers: workers.value,
      jobTypes: jobTypes.value,
    });
    const level = levelOf(found);
    return html`<section class="verdict verdict-${level} panel" aria-label="Health">
      <p class="word">${VERDICTS[level]}</p>
      ${found.length === 0
        ? html`<p>${isBlind ? "Nothing wrong is known, but this server does not tell all." : "No queue is held up, no type fails often, no dead letter waits."}</p>`
        : html`<ul>
            ${found.map((each) => html`<li><span class="level-${each.level}">${each.level === "bad" ? "trouble" : "warning"}</span> <a href=${each.link}>${each.text}</a></li>`)}
          </ul>`}
    </section>`;
  }

  #renderTiles(): TemplateResult {
    const stats = this.services.stats.value;
    const queues = this.services.queues.value;
    // The last minute is not over yet.
    const minute = stats?.per_minute.at(-2) ?? null;
    const workers = this.services.workers.value;
    const oldest = queues === null ? null : Math.max(...queues.queues.map((queue) => handling(queue, workers).age ?? 0));
    const open = stats?.open.by_state;
    return html`<dl class="tiles">
      ${tile("Completed a minute", count(minute?.completed), address("jobs", { state: "completed" }))}
      ${tile("Failed a minute", count(minute?.failed), address("jobs", { state: "failed" }), (minute?.failed ?? 0) > 0)}
      ${tile("Running", count(open === undefined ? null : (open.running ?? 0)), address("jobs", { state: "running" }))}
      ${tile("Waiting", count(open === undefined ? null : (open.queued ?? 0)), address("jobs", { state: "queued" }))} ${tile("Oldest wait", seconds(oldest), address("queues"))}
      ${tile("Dead letters", count(queues?.dead), address("dead-letters"), (queues?.dead ?? 0) > 0)}
    </dl>`;
  }

  #renderQueues({ queues }: Queues): TemplateResult {
    const byPriority = PRIORITIES.flatMap((priority) => queues.filter((queue) => queue.priority === priority));
    return table(
      "Queues",
      ["Priority", "Waiting#", "Running#", "Oldest waits#", "Handling"],
      byPriority.map((queue) => {
        const { waiting, running, age } = handling(queue, this.services.workers.value);
        const paused = html`<span class="level-warning">paused</span>`;
        return [queue.priority, count(waiting), count(running), seconds(age), queue.paused === null ? "on" : paused];
      }),
    );
  }

  #renderTypes(stats: Stats): Content {
    const types = new Map<string, JobType>(this.services.jobTypes.value?.map((type) => [type.name, type]));
    const rates = failureRates(stats);
    if (rates.length === 0) return empty("No job has been submitted yet.");
    return table(
      "Job types",
      ["Type", "Ended#", "Failed#", "Run time, median#", "Breaker"],
      rates.map(({ name, ended, failed }) => [
        html`<a href=${address("jobs", { job_type: name })}>${name}</a>`,
        count(ended),
        html`<span class=${failed > 0 ? "level-bad" : ""}
          >${count(failed)}${ended > 0 && failed > 0 ? ` (${Math.round((100 * failed) / ended)} %)` : nothing}</span
        >`,
        seconds(stats.run_seconds[name]?.p50 ?? null),
        breakerText(types.get(name)),
      ]),
    );
  }
}

/** A word for the breaker of a type; a pause counts for more. */
export function breakerText(type: JobType | undefined): Content {
  if (type?.paused) return html`<span class="level-warning">paused</span>`;
  const state = type?.breaker?.state;
  if (state === undefined) return "–";
  return state === "closed" ? "closed" : html`<span class="level-warning">${state.replace("_", " ")}</span>`;
}

function tile(name: string, value: string, link: string, isBad = false): TemplateResult {
  return html`<div class="tile">
    <dt><a href=${link}>${name}</a></dt>
    <dd class=${isBad ? "level-bad" : ""}>${value}</dd>
  </div>`;
}

LiveView.define("overview-view", OverviewView);
