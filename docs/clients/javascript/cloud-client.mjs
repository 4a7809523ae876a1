// A client of SimpleTuner Cloud in one module without dependencies, for Node 20 and later and for browsers.
// Run by Node it takes SIMPLETUNER_HOST, SIMPLETUNER_PORT, SIMPLETUNER_SSL_ENABLED and SIMPLETUNER_API_KEY.

const ENDED = ["completed", "failed", "cancelled"];
const POLL_MS = 3000;
const ANSWER_MS = 30_000;
// The server says something every 15 seconds: a stream that is silent for so long is dead.
const SILENCE_MS = 45_000;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The server refused; `retryAfterMs` says when it may be asked again. */
export class CloudError extends Error {
  constructor(detail, retryAfterMs = null) {
    super(detail);
    this.retryAfterMs = retryAfterMs;
  }
}

export class Cloud {
  /** @param {{url?: string, apiKey?: string}} options In a browser, the page's own server will do. */
  constructor({ url = "", apiKey = "" } = {}) {
    Object.assign(this, { url, apiKey });
  }

  async jobs(status = "") {
    return (await this.#call("GET", `/api/cloud/jobs?status=${status}`)).jobs;
  }

  async job(id) {
    return (await this.#call("GET", `/api/cloud/jobs/${id}`)).job;
  }

  async log(id) {
    return (await this.#call("GET", `/api/cloud/jobs/${id}/logs`)).logs;
  }

  cancel(id) {
    return this.#call("POST", `/api/cloud/jobs/${id}/cancel`);
  }

  /** Submit a stored configuration. By the key, one that is sent twice is one job. */
  submit(config, provider = "replicate") {
    const body = { config_name_to_load: config, idempotency_key: crypto.randomUUID() };
    return this.#call("POST", `/api/cloud/jobs/submit?provider=${provider}`, body);
  }

  /** What the log gains, until the job has ended. */
  async *followLog(id) {
    for (let seen = ""; ; await sleep(POLL_MS)) {
      // In this order: what is read after the end is all there will be.
      const { status } = await this.job(id);
      const log = await this.log(id);
      yield log.startsWith(seen) ? log.slice(seen.length) : log;
      if (ENDED.includes(status)) return;
      seen = log;
    }
  }

  /** The job when it has ended: an event tells, and while there is no stream it is looked at now and then. */
  async wait(id) {
    for (let place = "", streamAt = 0; ; await sleep(POLL_MS)) {
      try {
        if (Date.now() >= streamAt) {
          for await (const event of this.events(place)) {
            place = event.place ?? place;
            // What happened before the stream began is told by no event.
            if (["open", "resync"].includes(event.type) || event.job_id === id) {
              const job = await this.job(id);
              if (ENDED.includes(job.status)) return job;
            }
          }
        }
      } catch (error) {
        if (error instanceof CloudError && error.retryAfterMs === null) throw error;
        streamAt = Date.now() + (error.retryAfterMs ?? 0);
      }
      const job = await this.job(id);
      if (ENDED.includes(job.status)) return job;
    }
  }

  /** One stream of events, beginning after `place`. It ends, or throws, when the connection does. */
  async *events(place = "") {
    const quit = new AbortController();
    let alarm;
    const listen = () => {
      clearTimeout(alarm);
      alarm = setTimeout(() => quit.abort(new Error("The stream fell silent.")), SILENCE_MS);
    };
    try {
      listen();
      const { body } = await this.#open("GET", "/api/events", { "Last-Event-ID": place }, undefined, quit.signal);
      const reader = body.pipeThrough(new TextDecoderStream()).getReader();
      yield { type: "open" };
      for (let text = "", part; !(part = await reader.read()).done; ) {
        listen();
        const blocks = (text + part.value).split("\n\n");
        text = blocks.pop();
        for (const block of blocks) {
          const lines = Object.fromEntries(block.split("\n").map((line) => line.split(/: ?(.*)/s)));
          place = lines.id ?? place;
          yield { ...JSON.parse(lines.data ?? '{"type": "begin"}'), place };
        }
      }
    } finally {
      clearTimeout(alarm);
      quit.abort();
    }
  }

  /** Ask, and ask again if told when, or if the answer was lost of what may be sent twice: reading, submitting. */
  async #call(method, path, body) {
    for (const pauses = [1000, 2000, 4000, 8000]; ; await sleep(pauses.shift())) {
      try {
        return await (await this.#open(method, path, {}, body, AbortSignal.timeout(ANSWER_MS))).json();
      } catch (error) {
        const again = error instanceof CloudError ? error.retryAfterMs !== null : method === "GET" || body;
        if (!again || !pauses.length) throw error;
        pauses[0] = error.retryAfterMs ?? pauses[0];
      }
    }
  }

  async #open(method, path, headers, body, signal) {
    headers = { "Content-Type": "application/json", "X-API-Key": this.apiKey, ...headers };
    for (const name of Object.keys(headers)) if (!headers[name]) delete headers[name];
    const response = await fetch(this.url + path, { method, headers, signal, body: body && JSON.stringify(body) });
    if (response.ok) return response;
    const { detail = `HTTP ${response.status}` } = await response.json().catch(() => ({}));
    const seconds = response.headers.get("Retry-After");
    throw new CloudError(detail, /^\d+$/.test(seconds) ? seconds * 1000 : null);
  }
}

async function main([verb, name = "", option], env, write) {
  const scheme = env.SIMPLETUNER_SSL_ENABLED === "true" ? "https" : "http";
  const url = `${scheme}://${env.SIMPLETUNER_HOST || "localhost"}:${env.SIMPLETUNER_PORT || "8001"}`;
  const cloud = new Cloud({ url, apiKey: env.SIMPLETUNER_API_KEY });
  const verbs = {
    list: async () => (await cloud.jobs(name)).forEach((job) => write(`${job.job_id} ${job.status} ${job.config_name ?? "-"}\n`)),
    get: async () => write(`${JSON.stringify(await cloud.job(name), null, 2)}\n`),
    submit: async () => write(`${(await cloud.submit(name)).job_id}\n`),
    cancel: async () => write(`${(await cloud.cancel(name)).status}\n`),
    async logs() {
      if (option !== "--follow") return write(await cloud.log(name));
      for await (const text of cloud.followLog(name)) write(text);
    },
    async wait() {
      const { status } = await cloud.wait(name);
      write(`${status}\n`);
      return Number(status !== "completed");
    },
  };
  if (!verbs[verb]) throw new Error(`Usage: ${Object.keys(verbs).join("|")} [JOB, STATUS or CONFIGURATION] [--follow]`);
  return await verbs[verb]();
}

const script = globalThis.process?.argv[1];
if (script && import.meta.url === (await import("node:url")).pathToFileURL(script).href) {
  try {
    process.exitCode = (await main(process.argv.slice(2), process.env, (text) => void process.stdout.write(text))) ?? 0;
  } catch (error) {
    console.error(`Error: ${error.cause?.message || error.message}`);
    process.exitCode = 1;
  }
}
