/**
 * Keeps the store current: pushes over SignalR, with a re-read on every connect because nothing is replayed. While
 * SignalR is down the same re-read runs every few seconds instead.
 */
import {
  DefaultHttpClient,
  HttpError,
  type HttpRequest,
  type HttpResponse,
  HttpTransportType,
  type HubConnection,
  HubConnectionBuilder,
  LogLevel,
  NullLogger,
} from "@microsoft/signalr";
import { ApiError, type Api } from "./api.ts";
import type { Feed } from "./feed.ts";
import type { FunctionKey } from "./keys.ts";
import type { Job } from "./model.ts";
import type { JobStore } from "./store.ts";

/** connecting: the first try; live: pushes arrive; polling: they do not, the API answers; offline: neither does. */
export type LiveStatus = "connecting" | "live" | "polling" | "offline";

const FIRST_POLL_MS = 1_000;
const POLL_MS = 5_000;
/** While live the list is still read now and then: the server may drop a push, and jobs expire without one. */
const SWEEP_MS = 60_000;
const LONGEST_WAIT_MS = 30_000;

function backoff(firstMs: number, failures: number): number {
  // Spread, so that a thousand pages do not come back in the same instant.
  return Math.min(firstMs * 2 ** failures, LONGEST_WAIT_MS) * (0.75 + Math.random() / 2);
}

/** Sends the key to the API alone: negotiation goes on at the SignalR service, which must not get it. */
class KeyedHttpClient extends DefaultHttpClient {
  #api: Api;
  #key: FunctionKey;

  constructor(api: Api, key: FunctionKey) {
    super(NullLogger.instance);
    this.#api = api;
    this.#key = key;
  }

  override async send(request: HttpRequest): Promise<HttpResponse> {
    if (!request.url?.startsWith(`${this.#api.base}/`)) return super.send(request);
    for (;;) {
      const key = this.#key.get();
      try {
        return await super.send({ ...request, headers: { ...request.headers, ...this.#key.headers() } });
      } catch (error) {
        const refused = error instanceof HttpError && error.statusCode === 401;
        if (refused && (await this.#key.replace(key)) !== null) continue;
        throw error;
      }
    }
  }
}

export class LiveUpdates {
  status: LiveStatus = "connecting";
  #api: Api;
  #store: JobStore;
  #feed: Feed;
  #onChange: () => void;
  #connection: HubConnection;
  #timer: number | undefined;
  #failedReads = 0;
  /** Changes may have been missed, and the read that makes up for them has not worked yet. */
  #isBehind = true;
  /** Counts the outages: a read that began before one does not make up for it. */
  #outages = 0;

  /** `onChange` is called when the status changed or the list was read again. */
  constructor(api: Api, store: JobStore, feed: Feed, key: FunctionKey, onChange: () => void) {
    this.#api = api;
    this.#store = store;
    this.#feed = feed;
    this.#onChange = onChange;
    this.#connection = new HubConnectionBuilder()
      .withUrl(`${api.base}/realtime`, {
        httpClient: new KeyedHttpClient(api, key),
        // The other transports are not in the bundle (vite.config.ts): without WebSockets the page polls by itself.
        transport: HttpTransportType.WebSockets,
        withCredentials: false,
      })
      .withAutomaticReconnect({ nextRetryDelayInMilliseconds: (retry) => backoff(500, retry.previousRetryCount) })
      .configureLogging(LogLevel.None)
      .build();
    this.#connection.on("jobsChanged", (jobs: Job[]) => {
      store.upsert(jobs);
      feed.prune();
    });
    this.#connection.onreconnecting(() => this.#down());
    this.#connection.onreconnected(() => this.#up());
    this.#connection.onclose(() => {
      this.#down();
      this.#connect();
    });
  }

  start(): void {
    void this.refresh();
    this.#connect();
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && (this.status !== "live" || this.#isBehind)) void this.refresh();
    });
  }

  /** Read the list and the job that is looked at now. */
  async refresh(): Promise<void> {
    window.clearTimeout(this.#timer);
    const isLive = this.status === "live";
    const outages = this.#outages;
    if (isLive && !this.#isBehind) this.#feed.mark();
    const [answered] = await Promise.all([this.#feed.refresh(isLive && this.#isBehind), this.#readWatched()]);
    this.#failedReads = answered ? 0 : this.#failedReads + 1;
    if (isLive && answered && outages === this.#outages) this.#isBehind = false;
    if (this.status === "polling" || this.status === "offline") this.status = answered ? "polling" : "offline";
    this.#onChange();
    this.#readAfter(this.status === "live" && !this.#isBehind ? SWEEP_MS : backoff(POLL_MS, this.#failedReads));
  }

  /** Pushes were dropped on purpose while the list was held: read it as after an outage. */
  catchUp(): void {
    this.#isBehind = true;
    void this.refresh();
  }

  async #readWatched(): Promise<void> {
    if (this.#store.watched === "") return;
    try {
      this.#store.upsert([await this.#api.job(this.#store.watched)]);
    } catch (error) {
      // The list's own read tells of an outage; a job that is gone stays as it was last seen.
      if (!(error instanceof ApiError)) throw error;
    }
  }

  #connect(failures = 0): void {
    this.#connection.start().then(
      () => this.#up(),
      () => {
        this.#down();
        window.setTimeout(() => this.#connect(failures + 1), backoff(500, failures));
      },
    );
  }

  #up(): void {
    this.status = "live";
    void this.refresh();
  }

  #down(): void {
    if (this.status === "polling" || this.status === "offline") return;
    this.status = this.#feed.error === null ? "polling" : "offline";
    if (!this.#isBehind) this.#feed.mark();
    this.#isBehind = true;
    this.#outages += 1;
    this.#onChange();
    this.#readAfter(FIRST_POLL_MS);
  }

  #readAfter(ms: number): void {
    window.clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => {
      // A page that nobody sees asks for nothing; it catches up when it is looked at again.
      if (document.hidden) this.#readAfter(ms);
      else void this.refresh();
    }, ms);
  }
}
