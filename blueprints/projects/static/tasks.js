// The API's tasks. Every answer that is no success is a Refusal, which says why.

export class Refusal extends Error {
  // status is 0 where the server could not be reached.
  constructor(status, seconds = 0) {
    super(`refused: ${status}`);
    this.status = status;
    this.seconds = seconds;
  }
}

export class Tasks {
  constructor(address, csrf) {
    this.address = address;
    this.csrf = csrf;
  }

  // Each of these gives the task, with its entity tag as `etag`.
  get(id) {
    return this.#send("GET", `${this.address}/${id}`);
  }

  // With the same key twice, it is made once: a server that seemed not to answer may have done it.
  create(task, key) {
    return this.#send("POST", this.address, task, { "Idempotency-Key": key });
  }

  change(id, etag, changes) {
    return this.#send("PATCH", `${this.address}/${id}`, changes, { "If-Match": etag });
  }

  // Gives the first tasks of a column, as `items`, and how many it has, as `count`.
  list(project, state, limit) {
    const sort = state === "done" ? "-updated_at" : "due_on";
    return this.#send("GET", `${this.address}?${new URLSearchParams({ project_id: project, state, limit, sort })}`);
  }

  async #send(method, address, body, headers = {}) {
    const options = {
      method,
      credentials: "same-origin",
      headers: { Accept: "application/json", "X-CSRF-Token": this.csrf, ...headers },
    };
    if (body !== undefined) {
      options.body = JSON.stringify(body);
      options.headers["Content-Type"] = "application/json";
    }
    const answer = await fetch(address, options).catch(() => { throw new Refusal(0); });
    if (!answer.ok) throw new Refusal(answer.status, Number(answer.headers.get("Retry-After")) || 1);
    const value = await answer.json().catch(() => { throw new Refusal(0); });
    // A proxy that packs answers makes a strong tag a weak one, which nothing matches that is to be changed.
    return { ...value, etag: (answer.headers.get("ETag") ?? "").replace(/^W\//, "") };
  }
}
