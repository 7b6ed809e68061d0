/** How many jobs waited in each queue and how long the oldest had, over the last minutes: what the charts draw. */
import { handling } from "./health.ts";
import { PRIORITIES, type Queues, type Worker } from "./model.ts";

export const HISTORY_MS = 15 * 60_000;
/** Longer without a sample than this, and the line is broken: nobody looked. */
const GAP_MS = 20_000;

/** One column of times in seconds since 1970, and one a priority; null where nothing is known. */
export interface Series {
  times: number[];
  values: (number | null)[][];
}

interface Sample {
  at: number;
  depth: (number | null)[];
  age: (number | null)[];
}

export class QueueHistory {
  #samples: Sample[] = [];

  add(queues: Queues, workers: Worker[] | null, now: number): void {
    const last = this.#samples.at(-1)?.at;
    const nothing = PRIORITIES.map(() => null);
    if (last !== undefined && now - last > GAP_MS) this.#samples.push({ at: last + 1_000, depth: nothing, age: nothing });
    const rows = PRIORITIES.map((priority) => {
      const queue = queues.queues.find((each) => each.priority === priority);
      return queue === undefined ? undefined : handling(queue, workers);
    });
    this.#samples.push({
      at: now,
      depth: rows.map((row) => row?.waiting ?? null),
      // A queue where nothing waits has no oldest job: its line lies on the ground.
      age: rows.map((row) => (row === undefined ? null : (row.age ?? 0))),
    });
    this.#samples = this.#samples.filter((sample) => sample.at > now - HISTORY_MS);
  }

  get depth(): Series {
    return this.#series((sample) => sample.depth);
  }

  get age(): Series {
    return this.#series((sample) => sample.age);
  }

  #series(pick: (sample: Sample) => (number | null)[]): Series {
    return {
      times: this.#samples.map((sample) => sample.at / 1_000),
      values: PRIORITIES.map((_, index) => this.#samples.map((sample) => pick(sample)[index] ?? null)),
    };
  }
}
