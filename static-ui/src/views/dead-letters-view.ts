import { html, nothing, type TemplateResult } from "lit-html";
import { count } from "../format.ts";
import type { DeadLetter, DeadLetterFilter, DeadLetterReport } from "../model.ts";
import type { Polled } from "../polled.ts";
import { address, jobAddress } from "../route.ts";
import { ask } from "./dialog.ts";
import { ago, type Content, empty, heading, notice, select, table, whenRead } from "./parts.ts";
import { LiveView } from "./view.ts";

/** What the page reads, and works through in one call: the API's limits. */
const READ_LIMIT = 200;
const CALL_LIMIT = 200;

type Action = "replay" | "purge";

/** Jobs that failed for good: look at them, start them again, or clear them away. */
class DeadLettersView extends LiveView {
  static override properties = [...LiveView.properties, "query", "selected", "doing"];
  declare query: URLSearchParams;
  declare private selected: ReadonlySet<string>;
  /** How far a long replay or purge is. */
  declare private doing: string;

  constructor() {
    super();
    this.selected = new Set();
    this.doing = "";
  }

  protected override get reads(): Polled<unknown>[] {
    return [this.services.deadLetters];
  }

  protected override render(): TemplateResult {
    const { deadLetters } = this.services;
    const letters = deadLetters.value ?? [];
    const [reason, jobType] = [this.query.get("reason") ?? "", this.query.get("job_type") ?? ""];
    const names = (values: (string | null)[]): string[] => [...new Set(values.filter((value) => value !== null))].sort();
    const set = (change: Record<string, string>): void => {
      this.selected = new Set();
      window.location.hash = address("dead-letters", { reason, job_type: jobType, ...change });
    };
    const shown = letters.filter(
      (letter) => (reason === "" || letter.reason === reason) && (jobType === "" || letter.job_type === jobType),
    );
    return html`${heading("Dead letters", html`<p class="count">jobs that failed for good, kept for 14 days</p>`)}
      <div class="filters">
        ${select("Reason", reason, "any reason", names(letters.map((letter) => letter.reason)), (value) => set({ reason: value }))}
        ${select("Job type", jobType, "any type", names(letters.map((letter) => letter.job_type)), (value) => set({ job_type: value }))}
      </div>
      ${whenRead(deadLetters, "dead letters", () => this.#renderLetters(shown, letters.length, { reason, job_type: jobType }))}`;
  }

  #renderLetters(shown: DeadLetter[], total: number, filter: { reason: string; job_type: string }): Content {
    if (total === 0) return empty("No dead letter. Every job that failed has been dealt with.");
    const ids = shown.flatMap((letter) => (letter.job_id === null ? [] : [letter.job_id]));
    const chosen = ids.filter((id) => this.selected.has(id));
    const isFiltered = filter.reason !== "" || filter.job_type !== "";
    const matching: DeadLetterFilter = Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== ""));
    const tick = (id: string, on: boolean): void => {
      this.selected = new Set(on ? [...this.selected, id] : [...this.selected].filter((each) => each !== id));
    };
    const button = (action: Action, text: string, on: DeadLetterFilter, isOff = false): TemplateResult =>
      html`<button type="button" class=${action === "purge" ? "danger" : ""} ?disabled=${isOff || this.busy !== ""}
        @click=${() => this.#run(action, on)}>${text}</button>`;
    return html`<div class="actions bulk">
      <label class="field-boolean">
        <input type="checkbox" .checked=${ids.length > 0 && chosen.length === ids.length} ?disabled=${ids.length === 0}
          @change=${(event: Event) => (this.selected = new Set((event.target as HTMLInputElement).checked ? ids : []))} />
        All ${count(ids.length)} shown
      </label>
        ${button("replay", `Replay selected (${count(chosen.length)})`, { job_ids: chosen }, chosen.length === 0)}
        ${button("purge", `Purge selected (${count(chosen.length)})`, { job_ids: chosen }, chosen.length === 0)}
        <span class="divider"></span>
        ${button("replay", isFiltered ? "Replay all that match" : "Replay all", matching)}
        ${button("purge", isFiltered ? "Purge all that match" : "Purge all", matching)}
        <span class="soft">${this.doing}</span>
      </div>
      ${total === READ_LIMIT ? notice("info", `The oldest ${READ_LIMIT} are shown; "all" acts on those behind them too.`) : nothing}
      <section class="panel" aria-label="Letters">
        ${shown.length === 0
          ? empty("No dead letter matches.")
          : table(
              "Dead letters",
              ["Select", "Job", "Reason", "What happened", "Priority", "Attempt#", "Dead since"],
              shown.map((letter) => [
                letter.job_id === null
                  ? ""
                  : html`<input type="checkbox" aria-label="Select the ${letter.job_type} job ${letter.job_id}"
                      .checked=${this.selected.has(letter.job_id)}
                      @change=${(event: Event) => tick(letter.job_id ?? "", (event.target as HTMLInputElement).checked)} />`,
                letter.job_id === null
                  ? "unreadable message"
                  : html`<a href=${jobAddress(letter.job_id)}>${letter.job_type}</a> <code class="job-id">${letter.job_id.slice(-12)}</code>`,
                html`<code>${letter.reason}</code>`,
                html`<span class="clip" title=${letter.description}>${letter.description}</span>`,
                letter.priority ?? "–",
                letter.attempt === null ? "–" : `${letter.attempt}${letter.run !== null && letter.run > 1 ? `, run ${letter.run}` : ""}`,
                ago(letter.dead_since),
              ]),
            )}
      </section>`;
  }

  /** Count by a dry run, ask, then call again and again until nothing is left to do. */
  async #run(action: Action, filter: DeadLetterFilter): Promise<void> {
    const { api, deadLetters, queues } = this.services;
    await this.act(action, async () => {
      const { matched, more } = await api.deadLetterAction(action, filter, 1_000, true);
      const many = `${count(matched)}${more ? " or more" : ""} dead ${matched === 1 ? "letter" : "letters"}`;
      if (matched === 0) return "No dead letter matches any more.";
      const answer = await ask(
        action === "replay"
          ? { title: `Replay ${many}?`, text: "Each job runs again under its own id, with its history.", button: `Replay ${many}` }
          : {
              title: `Purge ${many}?`,
              text: "They are removed for good. Their jobs stay failed, and each can still be retried by itself.",
              button: `Purge ${many}`,
              isDanger: true,
            },
      );
      if (answer === null) return "Nothing was done.";
      const sum = { done: 0, stale: 0, skipped: 0 };
      let report: DeadLetterReport;
      do {
        report = await api.deadLetterAction(action, filter, CALL_LIMIT);
        sum.done += report.done;
        sum.stale += report.stale;
        sum.skipped += report.skipped;
        this.doing = `${count(sum.done)} of ${count(matched)} done`;
        // What is only skipped stays, and would be met again for ever.
      } while (report.more && report.done + report.stale > 0);
      this.doing = "";
      this.selected = new Set();
      await Promise.all([deadLetters.refresh(), queues.refresh()]);
      const rest = [
        sum.stale > 0 ? `${count(sum.stale)} had run again already` : "",
        sum.skipped > 0 ? `${count(sum.skipped)} could not be read` : "",
      ].filter((text) => text !== "");
      return [`${action === "replay" ? "Replayed" : "Purged"} ${count(sum.done)}`, ...rest].join("; ") + ".";
    });
    this.doing = "";
  }
}

LiveView.define("dead-letters-view", DeadLettersView);
